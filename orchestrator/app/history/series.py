"""
Where a batch stands among those of its name: its number, and the time and the day that it is for.
"""

from __future__ import annotations

from datetime import UTC, date

from orchestrator.model.batches import Batch

UNNUMBERED = 10**13
"""
More than the milliseconds of any time: batches of versions that did not count come before all
others, in the order in which they began.
"""


def number_of(batch: Batch) -> int:
    """A number that is higher for each later batch of a name."""
    return batch.number or int(batch.created_at.timestamp() * 1000) - UNNUMBERED


def occurrence_of(batch: Batch) -> str:
    """The time that a batch is for, in UTC, as text; of those that have none, when they began."""
    occurrence = batch.occurrence or batch.created_at
    return occurrence.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day_of(batch: Batch) -> date:
    """The day that a batch is for: what `{{ date }}` was."""
    return date.fromisoformat(batch.plan.day) if batch.plan.day else batch.created_at.date()
