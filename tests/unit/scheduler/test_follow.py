from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import NotFound
from orchestrator.model.jobs import CollectPlan
from orchestrator.scheduler.follow import ABORT_GRACE_SECS, Follower
from tests.unit.scheduler.followed_runs import FakePlatform, follow


def test_long_run_is_no_straggler_while_nothing_is_usual(tmp_path: Path) -> None:
    """If an Actor has had few runs, none is called slow, however long it takes."""
    ends = {f"r{number}": 10.0 for number in range(4)} | {"long": 5000.0}
    went = follow(tmp_path, FakePlatform(ends))
    assert (went.early, went.stragglers, went.slow) == ([], [], [])


def test_run_far_beyond_what_is_usual_is_a_straggler(tmp_path: Path) -> None:
    """It is called slow once, while it is live; runs that take the usual time are not."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0, "usual": 12.0}
    went = follow(tmp_path, FakePlatform(ends))
    assert (went.early, went.stragglers, went.slow) == (["job-5"], ["job-5"], ["long"])


def test_run_that_takes_too_long_is_aborted(tmp_path: Path) -> None:
    """With `abort_after_factor`, it is aborted after so many usual durations, with this reason."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    platform = FakePlatform(ends)
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, gracefully, at),) = platform.aborted
    assert (name, gracefully) == ("long", True)
    assert at == pytest.approx(40.0, abs=2)
    long = went.ended["long"]
    assert long is not None
    assert "abort_after_factor" in (long.aborted_because or "")


def test_run_that_ignores_a_graceful_abort_is_aborted_hard(tmp_path: Path) -> None:
    """It gets as much time as the platform allows, and no more."""
    platform = FakePlatform({"stubborn": 5000.0}, is_polite=False)
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert [gracefully for _, gracefully, _ in platform.aborted] == [True, False]
    first, second = (at for _, _, at in platform.aborted)
    assert second - first == pytest.approx(ABORT_GRACE_SECS, abs=2)
    stubborn = went.ended["stubborn"]
    assert stubborn is not None
    assert stubborn.aborted_because == "deadline"


def test_waits_are_given_up_while_runs_are_live(tmp_path: Path) -> None:
    """A stop ends all waits at once; runs that have ended keep their outcomes."""
    platform = FakePlatform({"quick": 10.0, "long": 5000.0})
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits)
    assert went.ended["quick"] is not None
    assert (went.ended["long"], platform.aborted) == (None, [])
    assert went.secs == pytest.approx(100, abs=1)


def test_waits_are_given_up_between_two_polls(tmp_path: Path) -> None:
    """A stop does not wait for the pause after a poll that was answered at once."""
    platform = FakePlatform({"long": 5000.0}, answers_at_once=True)
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits)
    assert went.ended == {"long": None}
    assert went.secs == pytest.approx(100.5, abs=0.01)


def test_waits_are_given_up_during_an_abort(tmp_path: Path) -> None:
    """A stop does not wait for a run that takes its time to obey an abort."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"stubborn": 5000.0}
    platform = FakePlatform(ends, is_polite=False)
    went = follow(tmp_path, platform, meanwhile=Follower.give_up_waits, abort_after_factor=9.0)
    assert [gracefully for _, gracefully, _ in platform.aborted] == [True]
    assert went.ended["stubborn"] is None
    assert went.secs == pytest.approx(100.5, abs=0.01)


def test_run_that_cannot_be_aborted_is_abandoned_at_a_deadline(tmp_path: Path) -> None:
    """At a deadline, the command does not wait for a run whose abort the platform refuses."""
    platform = FakePlatform({"long": 5000.0}, refuses=True)
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert went.ended == {"long": None}
    assert went.secs == pytest.approx(100, abs=1)


def test_run_that_does_not_end_when_aborted_is_left_at_a_deadline(tmp_path: Path) -> None:
    """It gets two requests and the time for both, and the command does not wait for ever."""
    platform = FakePlatform({"long": 5000.0}, is_deaf=True)
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert [gracefully for _, gracefully, _ in platform.aborted] == [True, False]
    assert went.ended == {"long": None}
    assert went.secs == pytest.approx(100 + 2 * ABORT_GRACE_SECS, abs=2)


def test_slow_run_that_cannot_be_aborted_is_left_at_a_deadline(tmp_path: Path) -> None:
    """A run whose abort was refused before the deadline is not waited for either."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    went = follow(
        tmp_path,
        FakePlatform(ends, refuses=True),
        meanwhile=lambda follower: follower.abort_runs("deadline"),
        abort_after_factor=4.0,
    )
    assert went.ended["long"] is None
    assert went.secs == pytest.approx(100, abs=1)


def test_aborted_run_is_polled_once_a_second_at_most(tmp_path: Path) -> None:
    """A platform that answers polls at once is not asked all the time."""
    platform = FakePlatform({"stubborn": 5000.0}, is_polite=False, answers_at_once=True)
    follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    assert platform.polls < 100 + 1.5 * ABORT_GRACE_SECS


def test_slow_run_that_cannot_be_aborted_is_followed_to_its_end(tmp_path: Path) -> None:
    """If the platform refuses to abort a slow run, the run is followed to its end."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    went = follow(tmp_path, FakePlatform(ends, refuses=True), abort_after_factor=4.0)
    long = went.ended["long"]
    assert long is not None
    assert long.run.status == "SUCCEEDED"


def test_status_of_a_live_run_is_shown_when_it_changes(tmp_path: Path) -> None:
    """A run that waits for a place is READY; its next status is shown once."""
    went = follow(tmp_path, FakePlatform({"r0": 500.0}, begin=200.0))
    assert went.seen == ["RUNNING"]


def test_run_that_waits_for_a_place_is_no_straggler(tmp_path: Path) -> None:
    """A run that the platform has not begun is neither called slow nor aborted."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 5000.0}
    platform = FakePlatform(ends, begin=9000.0)
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    assert (went.early, went.slow, platform.aborted) == ([], [], [])


def test_run_that_waited_for_a_place_is_not_aborted_when_it_begins(tmp_path: Path) -> None:
    """Its age counts from when it was first seen RUNNING, however long it waited before."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 620.0}
    platform = FakePlatform(ends, waits={"late": 600.0})
    went = follow(tmp_path, platform, abort_after_factor=4.0)
    assert (went.slow, went.stragglers, platform.aborted) == ([], [], [])


def test_run_that_waited_for_a_place_is_aborted_when_it_runs_too_long(tmp_path: Path) -> None:
    """The next poll after its beginning is early enough to call it slow in time."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"late": 5000.0}
    platform = FakePlatform(ends, waits={"late": 601.0})
    follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, _, at),) = platform.aborted
    assert name == "late"
    assert 641 <= at <= 675


def test_usual_duration_excludes_the_wait_for_a_place(tmp_path: Path) -> None:
    """The usual duration is how long runs are RUNNING, without their wait."""
    waits = {f"r{number}": 900.0 for number in range(5)}
    platform = FakePlatform(dict.fromkeys(waits, 910.0) | {"long": 5000.0}, waits=waits)
    follow(tmp_path, platform, abort_after_factor=4.0)
    ((name, _, at),) = platform.aborted
    assert name == "long"
    assert at == pytest.approx(910, abs=5)


@pytest.mark.parametrize(("age", "aborted_at"), [(25.0, 15.0), (0.0, 40.0)])
def test_age_of_a_run_of_an_earlier_process_counts(
    tmp_path: Path, age: float, aborted_at: float
) -> None:
    """With `abort_after_factor`, a resume gives a slow run no extra time."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 5000.0}
    platform = FakePlatform(ends)
    follow(tmp_path, platform, created_ago={"long": age}, abort_after_factor=4.0)
    ((_, _, at),) = platform.aborted
    assert at == pytest.approx(aborted_at, abs=2)


def test_run_that_this_process_started_has_just_begun(tmp_path: Path) -> None:
    """Its age is measured on this machine, so a wrong clock aborts nothing."""
    ends = {f"r{number}": 10.0 for number in range(5)} | {"long": 30.0}
    platform = FakePlatform(ends)
    follow(tmp_path, platform, wrong_by=3600.0, abort_after_factor=4.0)
    assert platform.aborted == []


def test_error_of_a_run_is_reported_beside_its_download(tmp_path: Path) -> None:
    """With `live`, the error of the run itself is reported, not that of the download."""
    platform = FakePlatform({"gone": 10.0}, is_readable=False)
    with pytest.raises(ExceptionGroup) as caught:
        follow(tmp_path, platform, collect=CollectPlan(live=True))
    assert [type(error) for error in caught.value.exceptions] == [NotFound]


def test_run_that_obeys_a_graceful_abort_is_followed_to_its_end(tmp_path: Path) -> None:
    """At a deadline it is aborted once, and collected like any other."""
    platform = FakePlatform({"long": 5000.0})
    went = follow(tmp_path, platform, meanwhile=lambda follower: follower.abort_runs("deadline"))
    long = went.ended["long"]
    assert long is not None
    assert (long.run.status, len(platform.aborted)) == ("ABORTED", 1)


def test_platform_that_answers_polls_at_once_is_polled_once_a_second(tmp_path: Path) -> None:
    """Polls that are answered at once do not become a flood of requests."""
    platform = FakePlatform({"r0": 30.0}, answers_at_once=True)
    follow(tmp_path, platform)
    assert platform.polls <= 32
