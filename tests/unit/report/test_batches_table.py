"""The table that `list` prints."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.model.batches import BatchCall, BatchState
from orchestrator.model.states import JobStatus
from orchestrator.report.batches_table import ListedBatch, table_lines
from orchestrator.report.summary import summary_of, times
from tests.support.builders import NOON, make_batch
from tests.support.listed_jobs import make_totals

LATER = NOON + timedelta(hours=1)
JOBS = {JobStatus.SUCCEEDED: 1190, JobStatus.FAILED: 7, JobStatus.REJECTED: 2, JobStatus.WAITING: 1}


def make_call(began_at: datetime, secs: float, caller: str = "systemd") -> BatchCall:
    """A call of `run --resume`."""
    end = began_at + timedelta(seconds=secs)
    return BatchCall(command="run --resume", caller=caller, began_at=began_at, seen_at=end)


def listed(*, is_held: bool = False, **facts: Any) -> ListedBatch:
    """A batch that began at noon UTC and ended an hour later."""
    batch = {"state": BatchState.ENDED, "ended_at": LATER, "exit_code": 1, **facts}
    totals = make_totals(jobs=JOBS, items=2500, calls=[make_call(NOON, 600), make_call(LATER, 60)])
    made = replace(make_batch(timezone="Europe/Prague"), occurrence=NOON, **batch)
    return ListedBatch(batch=made, summary=summary_of(made, totals), is_held=is_held)


def test_list_shows_no_character_that_steers_a_terminal() -> None:
    """Another program may have changed the summary."""
    one = listed()
    one = replace(one, summary={**one.summary, "caller": "cron\x1b[2J\u202e"})
    lines = table_lines([one], LATER, width=None)
    assert all(line.isprintable() for line in lines)
    # The setting `trigger` may have line breaks too.
    one = replace(one, summary={**one.summary, "caller": "cron\n at night"})
    assert "cron at night" in table_lines([one], LATER, width=None)[1]


def test_list_tells_start_duration_exit_code_and_trigger() -> None:
    """Times are in the zone of the batch; what failed is apart from what succeeded."""
    heading, row = table_lines([listed()], LATER, width=None)
    assert dict(
        zip(heading.replace("triggered by", "trigger").split(), _cells(row), strict=True)
    ) == {
        "batch": "nightly",
        "id": "20261125T120000Z-abcdef",
        "occurrence": "2026-11-25 13:00",
        "start": "2026-11-25 13:00",
        "duration": "1:00:00",
        "active": "0:11:00",
        "state": "ended",
        "exit": "1",
        "trigger": "systemd",
        "succeeded": "1,190",
        "failed": "9",
        "left": "1",
        "items": "2,500",
        "cost": "$0.0100",
    }


def test_list_shows_a_batch_whose_zone_this_machine_lacks() -> None:
    """Its ledger may come from a machine that knows more zones: its times are in UTC."""
    one = listed(plan=make_batch(timezone="Mars/Olympus").plan)
    _, row = table_lines([one], LATER, width=None)
    assert "2026-11-25 12:00" in row


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_list_fits_the_terminal(width: int) -> None:
    """Columns that do not fit are left out; the id and the failures stay, and nothing is cut."""
    lines = table_lines([listed()], LATER, width=width)
    assert all(len(line) <= width for line in lines)
    assert "20261125T120000Z-abcdef" in lines[1]
    assert "failed" in lines[0]


@pytest.mark.parametrize(
    ("facts", "is_held", "state"),
    [
        ({}, False, "ended"),
        ({"state": BatchState.OPEN, "ended_at": None, "exit_code": None}, True, "running"),
        ({"state": BatchState.OPEN, "ended_at": None, "exit_code": None}, False, "interrupted"),
        ({"state": BatchState.STOPPED, "stop_kind": "BudgetExhausted"}, False, "stopped"),
        ({"state": BatchState.STOPPED, "stop_kind": "Interrupted"}, False, "interrupted"),
    ],
)
def test_list_tells_the_state_in_a_word(facts: dict[str, Any], is_held: bool, state: str) -> None:
    """A batch that was killed or interrupted is told apart from one that its rules stopped."""
    row = table_lines([listed(is_held=is_held, **facts)], LATER, width=None)[1]
    assert state in row.split()


def test_running_batch_has_the_time_so_far() -> None:
    """Its duration grows until it ends."""
    facts: dict[str, Any] = {"state": BatchState.OPEN, "ended_at": None, "exit_code": None}
    row = table_lines([listed(is_held=True, **facts)], NOON + timedelta(minutes=5), width=None)[1]
    assert "0:05:00" in row.split()


def test_several_calls_make_two_durations() -> None:
    """From the start to the end, and the time in which a command worked on the batch."""
    batch = listed().batch
    several = make_totals(calls=[make_call(NOON, 600), make_call(LATER, 60)])
    assert times(batch, several) == {"time from start to end": 3600.0, "active time": 660.0}
    once = make_totals(calls=[make_call(NOON, 3599)])
    assert times(batch, once) == {"time": 3600.0}


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("  ") if cell.strip()]
