"""
Nights of `run --resume` on a shifted clock: each occurrence gets its batch, once.

Runs are counted at the platform, which alone knows what was started and paid.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import NIGHT, at, find_library
from tests.support.command import served_platform, wait_until
from tests.support.nights import DAY, HOUR, SCHEDULE, Nights

pytestmark = pytest.mark.skipif(
    find_library() is None, reason="Debian's package faketime is not installed"
)


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Nights]:
    """A platform that nobody else uses."""
    with served_platform(tmp_path / "platform") as platform:
        yield Nights(tmp_path, platform)


@pytest.mark.parametrize(
    ("limit", "work", "code"),
    [
        ("max_cost_usd = 0.02", {"cost_usd": 0.01}, 3),
        ("stop_after_failures = 1", {"outcome": "FAILED"}, 3),
        ("deadline_secs = 1", {"duration_secs": 60}, 3),
        ("", {"outcome": "FAILED"}, 1),
        ("", {}, 0),
    ],
    ids=["budget", "failures", "deadline", "failed-jobs", "success"],
)
def test_night_that_ended_somehow_is_followed_by_the_next(
    nights: Nights, limit: str, work: dict[str, Any], code: int
) -> None:
    """A batch that its own rules ended is done: a restart buys nothing, the next night its own."""
    job = "max_total_charge_usd = 0.01"
    nights.write(3, f"{SCHEDULE}\n{limit}", job=job, **work)
    first = nights.call(NIGHT)
    bought = nights.runs
    again = nights.call(NIGHT + HOUR)
    assert nights.runs == bought
    assert "already done" in again.err
    second, third = nights.call(NIGHT + DAY), nights.call(NIGHT + 2 * DAY)
    assert [done.code for done in (first, again, second, third)] == [code] * 4
    assert nights.runs == 3 * bought
    assert nights.batches == ["03-03T02:15", "03-02T02:15", "03-01T02:15"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_night_that_was_cut_is_resumed_by_the_next(nights: Nights, number: int) -> None:
    """Tonight's batch runs first, then last night's goes on; each job has one run in each."""
    nights.write(4, duration_secs=2)
    nights.cut(NIGHT, number, runs=2)
    assert nights.runs == 2
    done = nights.call(NIGHT + DAY)
    assert done.code == 0, done.err
    assert nights.runs == 8
    assert nights.batches == ["03-02T02:15", "03-01T02:15"]
    order = [run["startedAt"] for run in nights.platform.runs()]
    assert order == sorted(order, reverse=True) or order == sorted(order)


def test_restart_of_a_supervisor_goes_on_with_the_same_batch(nights: Nights) -> None:
    """Killed and called again, also after midnight, one batch serves the occurrence."""
    nights.write(4, duration_secs=2)
    evening = NIGHT + 21 * HOUR
    assert nights.cut(evening, signal.SIGKILL, runs=2) == -signal.SIGKILL
    done = nights.call(evening + 2 * HOUR)
    assert (done.code, nights.runs) == (0, 4)
    assert nights.batches == ["03-01T02:15"]


def test_night_that_a_person_interrupted_is_left_to_that_person(nights: Nights) -> None:
    """After Ctrl-C the next night runs its own batch only, and `resume` finishes the other."""
    nights.write(4, duration_secs=4)
    assert nights.cut(NIGHT, signal.SIGINT, runs=2) == 130
    done = nights.call(NIGHT + DAY)
    assert (done.code, nights.runs) == (0, 6)
    oldest = nights.command.run("list", "--json").json["batches"][-1]
    assert nights.command.run("resume", oldest["folder"]).code == 0
    assert nights.runs == 8


def test_daytime_test_with_a_selection_does_not_replace_the_night(nights: Nights) -> None:
    """A few jobs, interrupted at noon, are a series of their own; NAME is the whole batch."""
    nights.write(4, duration_secs=2)
    nights.call(NIGHT)
    process = at(nights.command, NIGHT + 10 * HOUR).start_alone("run", "s.toml", "--limit", "2")
    wait_until(lambda: nights.runs >= 6, "the runs of the test", secs=240)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=240)
    whole = nights.command.run("status", "night", "--json").json
    assert whole["jobs_total"] == 4
    done = nights.call(NIGHT + DAY)
    assert (done.code, nights.runs) == (0, 10)


def test_without_schedule_a_second_call_of_the_day_is_a_mistake(nights: Nights) -> None:
    """An hourly line without `schedule` ends with 2 and words, and the next day has its batch."""
    nights.write(2, "max_runs = 2")
    assert nights.call(NIGHT).code == 0
    again = nights.call(NIGHT + HOUR)
    assert again.code == 2
    assert "schedule" in again.err
    assert nights.call(NIGHT + DAY).code == 0
    assert nights.runs == 4


def test_earlier_night_is_left_when_the_next_occurrence_comes(nights: Nights) -> None:
    """A batch that hangs at each resume ends no later than the next time of the schedule."""
    nights.write(2, 'schedule = "* * * * *"\ntimezone = "UTC"\nmax_runs = 2', duration_secs=300)
    assert nights.cut(NIGHT, signal.SIGTERM, runs=2) == 143
    nights.write(1, 'schedule = "* * * * *"\ntimezone = "UTC"\nmax_runs = 2')
    done = nights.call(NIGHT + timedelta(minutes=9, seconds=45))
    assert (done.code, nights.runs) == (0, 3), done.err
    assert "the next occurrence of the schedule has come" in done.err
    found = nights.command.run("list", "--json").json["batches"]
    assert [batch["state"] for batch in found] == ["ended", "stopped"]
