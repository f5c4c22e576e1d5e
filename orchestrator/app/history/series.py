"""The batches of a series in their order, and the number, the time and the day of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date
from pathlib import Path

from orchestrator.app.batch_folders import Found, Survey, survey
from orchestrator.model.batches import Batch, Series

UNNUMBERED = 10**13
"""
More than the milliseconds of any time. Batches of versions that did not count come before all
others, in the order in which they began.
"""


def batches_of(home: Path, series: Series) -> Iterator[Found]:
    """
    The batches of a series, the newest first.

    Args:
        home: the folder of the batch name.
    """
    return (one for one in survey(home).found if series.agrees(one.batch.series))


def earlier_batches(folder: Path, batch: Batch) -> Iterator[Found]:
    """
    The batches of the series of a batch that come before it, the newest first.

    Args:
        folder: of the batch.
    """
    return earlier_of(survey(folder.parent), batch)


def earlier_of(known: Survey, batch: Batch) -> Iterator[Found]:
    """The same from what is known of the folder of the batch name."""
    for other in known.found:
        is_earlier = (other.number, other.batch.id) < (batch.number, batch.id)
        if is_earlier and batch.series.agrees(other.batch.series):
            yield other


def number_of(batch: Batch) -> int:
    """A number that is higher for each later batch of a name."""
    return batch.number or int(batch.created_at.timestamp() * 1000) - UNNUMBERED


def occurrence_of(batch: Batch) -> str:
    """The time that a batch is for, in UTC, as text; the time when it began if it has none."""
    occurrence = batch.occurrence or batch.created_at
    return occurrence.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day_of(batch: Batch) -> date:
    """The day that a batch is for: the value of `{{ date }}`."""
    return date.fromisoformat(batch.plan.day) if batch.plan.day else batch.created_at.date()
