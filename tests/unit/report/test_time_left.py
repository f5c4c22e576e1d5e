from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.time_left import (
    Workload,
    drift,
    rest_of_known,
    rest_of_similar,
    time_left,
)


def workload(**fields: Any) -> Workload:
    """A batch with nothing left to do, except for what a test names."""
    nothing: dict[str, Any] = {
        "waiting": 0,
        "waiting_secs": None,
        "rests": [],
        "late": 0,
        "at_once": 0.0,
    }
    return Workload(**{**nothing, **fields})


def test_estimate_divides_the_waiting_work_by_the_runs_at_once() -> None:
    """100 jobs of a minute, ten at a time, take ten minutes and the half run of the last to end."""
    left = time_left(workload(waiting=100, waiting_secs=6000.0, rests=[30.0] * 10, at_once=10.0))
    assert left.secs == 660.0


def test_estimate_is_not_shorter_than_the_longest_run_in_progress() -> None:
    """A run that still takes an hour decides, however few short jobs wait."""
    left = time_left(workload(waiting=2, waiting_secs=20.0, rests=[3600.0, 5.0], at_once=2.0))
    assert left.secs == 3600.0


def test_estimate_counts_the_collection_after_the_last_run() -> None:
    """The batch ends when the items of its last run are on disk."""
    left = time_left(workload(rests=[40.0], at_once=1.0, collect_secs=12.0))
    assert left.secs == 52.0


def test_estimate_counts_downloads_that_are_slower_than_runs() -> None:
    """300 results that are downloaded one per second take five minutes, although no run is left."""
    left = time_left(workload(collecting=300, settled_per_sec=1.0, collect_secs=20.0))
    assert left.secs == 300.0


@pytest.mark.parametrize(
    "fields",
    [
        {"waiting": 5, "waiting_secs": None, "at_once": 2.0},
        {"waiting": 5, "waiting_secs": 500.0, "at_once": 0.0},
        {"rests": [60.0, None], "at_once": 2.0},
        {"rests": [0.0, 60.0], "late": 1, "at_once": 2.0},
        {"rests": [1.0], "at_once": 1.0},
    ],
    ids=["unknown-jobs-wait", "nothing-runs", "unknown-run", "late-run", "too-short-to-say"],
)
def test_estimate_is_left_out_where_nothing_supports_it(fields: dict[str, Any]) -> None:
    """No number is better than a wrong one."""
    assert time_left(workload(**fields)).secs is None


def test_late_runs_do_not_hide_the_estimate_while_jobs_wait() -> None:
    """One slow run of many changes little about the work that waits."""
    work = workload(waiting=50, waiting_secs=3000.0, rests=[0.0, 20.0], late=1, at_once=2.0)
    left = time_left(work)
    assert (left.secs, left.late) == (1540.0, 1)


def test_run_of_a_known_job_takes_as_long_as_in_the_earlier_batch() -> None:
    """A job that took 18 s in the earlier batch has 17 s left after one second."""
    assert rest_of_known(1.0, 18.0) == (17.0, False)
    assert rest_of_known(20.0, 18.0) == (0.0, False)
    assert rest_of_known(30.0, 18.0) == (0.0, True)


def test_run_of_a_new_job_is_judged_by_similar_runs_that_took_longer() -> None:
    """A run of 5 s is not compared with the runs that ended before that age."""
    durations = [1.0, 2.0, 3.0, 10.0, 20.0]
    assert rest_of_similar(5.0, durations, peers=1) == (15.0, False)
    assert rest_of_similar(0.0, durations, peers=1) == (3.0, False)
    assert rest_of_similar(0.0, durations, peers=9) == (20.0, False)
    assert rest_of_similar(25.0, durations, peers=1) == (0.0, True)
    assert rest_of_similar(1.0, durations[:2], peers=1) == (None, False)


def test_drift_follows_what_runs_really_take() -> None:
    """When today's runs take twice as long as last night's, so do the ones to come."""
    assert drift(120.0, 60.0, runs=10) == 2.0
    assert drift(120.0, 60.0, runs=2) == 1.0
