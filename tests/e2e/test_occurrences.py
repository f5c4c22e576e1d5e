"""
Calls of `run --resume` on a shifted clock: each occurrence gets its batch, once.

The platform counts the runs, because only it knows what was started and paid.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import NIGHT, at, find_library
from tests.support.command import LONGEST_SECS, served_platform, wait_until
from tests.support.scheduled_calls import DAY, HOUR, SCHEDULE, Calls

pytestmark = pytest.mark.skipif(
    find_library() is None, reason="Debian's package faketime is not installed"
)


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Calls]:
    """A platform for one test."""
    with served_platform(tmp_path / "platform") as platform:
        yield Calls(tmp_path, platform)


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
def test_ended_batch_is_followed_by_the_next_one(
    calls: Calls, limit: str, work: dict[str, Any], code: int
) -> None:
    """A batch that its own rules ended is done: a restart starts nothing, the next day its own."""
    job = "max_total_charge_usd = 0.01"
    calls.write(3, f"{SCHEDULE}\n{limit}", job=job, **work)
    first = calls.call(NIGHT)
    bought = calls.runs
    again = calls.call(NIGHT + HOUR)
    assert calls.runs == bought
    assert "already done" in again.err
    second, third = calls.call(NIGHT + DAY), calls.call(NIGHT + 2 * DAY)
    assert [done.code for done in (first, again, second, third)] == [code] * 4
    assert calls.runs == 3 * bought
    assert calls.batches == ["03-03T02:15", "03-02T02:15", "03-01T02:15"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_interrupted_batch_is_resumed_by_the_next_call(calls: Calls, number: int) -> None:
    """The batch of tonight runs first, then the earlier one continues; no job runs twice."""
    calls.write(4, duration_secs=2)
    calls.cut(NIGHT, number, runs=2)
    assert calls.runs == 2
    done = calls.call(NIGHT + DAY)
    assert done.code == 0, done.err
    assert calls.runs == 8
    assert calls.batches == ["03-02T02:15", "03-01T02:15"]
    order = [run["startedAt"] for run in calls.platform.runs()]
    assert order == sorted(order, reverse=True) or order == sorted(order)


def test_restart_by_a_supervisor_continues_the_same_batch(calls: Calls) -> None:
    """Killed and called again, also after midnight, one batch serves the occurrence."""
    calls.write(4, duration_secs=2)
    evening = NIGHT + 21 * HOUR
    assert calls.cut(evening, signal.SIGKILL, runs=2) == -signal.SIGKILL
    done = calls.call(evening + 2 * HOUR)
    assert (done.code, calls.runs) == (0, 4)
    assert calls.batches == ["03-01T02:15"]


def test_batch_that_a_person_interrupted_is_left_to_that_person(calls: Calls) -> None:
    """After Ctrl-C, the next day runs only its own batch; `resume` finishes the other."""
    calls.write(4, duration_secs=4)
    assert calls.cut(NIGHT, signal.SIGINT, runs=2) == 130
    done = calls.call(NIGHT + DAY)
    assert (done.code, calls.runs) == (0, 6)
    oldest = calls.command.run("list", "--json").json["batches"][-1]
    assert calls.command.run("resume", oldest["folder"]).code == 0
    assert calls.runs == 8


def test_test_with_a_selection_does_not_replace_the_batch(calls: Calls) -> None:
    """A few jobs, interrupted at noon, are a separate series; NAME means the whole batch."""
    calls.write(4, duration_secs=2)
    calls.call(NIGHT)
    process = at(calls.command, NIGHT + 10 * HOUR).start("run", "s.toml", "--limit", "2")
    wait_until(lambda: calls.runs >= 6, "the runs of the test", secs=240)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONGEST_SECS)
    whole = calls.command.run("status", "night", "--json").json
    assert whole["jobs_total"] == 4
    done = calls.call(NIGHT + DAY)
    assert (done.code, calls.runs) == (0, 10)


def test_second_call_of_a_day_without_schedule_is_a_mistake(calls: Calls) -> None:
    """Without `schedule`, an hourly call ends with 2 and a reason; the next day has its batch."""
    calls.write(2, "max_runs = 2")
    assert calls.call(NIGHT).code == 0
    again = calls.call(NIGHT + HOUR)
    assert again.code == 2
    assert "schedule" in again.err
    assert calls.call(NIGHT + DAY).code == 0
    assert calls.runs == 4


def test_earlier_batch_is_left_when_the_next_occurrence_begins(calls: Calls) -> None:
    """A batch that hangs at each resume ends before the next time of the schedule."""
    calls.write(2, 'schedule = "* * * * *"\ntimezone = "UTC"\nmax_runs = 2', duration_secs=300)
    assert calls.cut(NIGHT, signal.SIGTERM, runs=2) == 143
    calls.write(1, 'schedule = "* * * * *"\ntimezone = "UTC"\nmax_runs = 2')
    done = calls.call(NIGHT + timedelta(minutes=9, seconds=45))
    assert (done.code, calls.runs) == (0, 3), done.err
    assert "the next occurrence of the schedule has come" in done.err
    found = calls.command.run("list", "--json").json["batches"]
    assert [batch["state"] for batch in found] == ["ended", "stopped"]
