"""The batches of an output folder as a table of plain text. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.model.zones import zone_of
from orchestrator.report.lines import clock
from orchestrator.safe_text import one_line

GAP = "  "
LONGEST_CELL = 200
LEFT_ALIGNED = frozenset({"batch", "id", "occurrence", "start", "state", "triggered by"})
LEAST_WANTED = (
    "occurrence",
    "active",
    "items",
    "left",
    "cost",
    "triggered by",
    "start",
    "duration",
    "exit",
    "batch",
)
"""Columns that are left out, in this order, while the table is too wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBatch:
    """
    A batch, and whether a process runs it.

    Attributes:
        summary: its figures, as `summary.json` holds them.
    """

    batch: Batch
    summary: Mapping[str, Any]
    is_held: bool


def table_lines(listed: Sequence[ListedBatch], now: datetime, *, width: int | None) -> list[str]:
    """
    A heading, and a line for each batch.

    Args:
        width: of the terminal; columns that do not fit are left out. None keeps all of them.
    """
    rows = [_row(one, now) for one in listed]
    # The words of a summary or a ledger that somebody has changed must not steer a terminal, and
    # the setting `trigger` may have any: a line break would make two lines of a batch.
    columns = (
        {name: [name, *(one_line(row[name], LONGEST_CELL) for row in rows)] for name in rows[0]}
        if rows
        else {}
    )
    widths = {name: max(map(len, cells)) for name, cells in columns.items()}
    for name in LEAST_WANTED:
        if width is None or sum(widths.values()) + len(GAP) * (len(widths) - 1) <= width:
            break
        widths.pop(name, None)
    return [
        GAP.join(_cell(name, columns[name][line], wide) for name, wide in widths.items()).rstrip()
        for line in range(len(rows) + 1)
    ]


def _cell(name: str, text: str, width: int) -> str:
    return text.ljust(width) if name in LEFT_ALIGNED else text.rjust(width)


def _row(listed: ListedBatch, now: datetime) -> dict[str, str]:
    batch, summary = listed.batch, listed.summary
    end = now if listed.is_held else batch.ended_at
    failed = sum(summary["jobs"][status] for status in FAILED_JOB_STATUSES)
    succeeded = summary["jobs"][JobStatus.SUCCEEDED]
    active_secs = summary["active_secs"]
    return {
        "batch": batch.name,
        "id": batch.id,
        "occurrence": _local(batch, batch.occurrence),
        "start": _local(batch, batch.created_at),
        "duration": "" if end is None else clock(batch.secs_until(end)),
        "active": "" if active_secs is None else clock(active_secs),
        "state": _state(listed),
        "exit": "" if listed.is_held or batch.exit_code is None else str(batch.exit_code),
        "triggered by": summary["caller"] or summary["command"] or batch.triggered_by.value,
        "succeeded": f"{succeeded:,}",
        "failed": f"{failed:,}",
        "left": f"{summary['jobs_total'] - succeeded - failed:,}",
        "items": f"{summary['items']:,}",
        "cost": money(Decimal(str(summary["cost_usd"]))),
    }


def _state(listed: ListedBatch) -> str:
    """One word; a batch that nobody closed was killed."""
    if listed.is_held:
        return "running"
    if listed.batch.state is BatchState.ENDED:
        return "ended"
    return "stopped" if listed.batch.is_done else "interrupted"


def _local(batch: Batch, time: datetime | None) -> str:
    """A time in the zone of the batch."""
    return "" if time is None else f"{time.astimezone(zone_of(batch)):%Y-%m-%d %H:%M}"
