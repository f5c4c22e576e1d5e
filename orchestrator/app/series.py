"""
To which series a batch belongs, and its place in it.
"""

from __future__ import annotations

from datetime import UTC, date
from hashlib import sha256

from orchestrator.model.batches import Batch

UNNUMBERED = 10**15
"""
More milliseconds than any batch was made after 1970: batches without a number come before all
that have one, in the order of time.
"""


def number_of(batch: Batch) -> int:
    """
    A number that is higher for each later batch of a name.
    """
    number: int = getattr(batch, "number", 0)
    return number or int(batch.created_at.timestamp() * 1000) - UNNUMBERED


def series_of(batch: Batch) -> str:
    """
    A name for the series of a batch that fits a folder.
    """
    series = getattr(batch, "series", None)
    return series.id if series else sha256(batch.name.encode()).hexdigest()[:12]


def occurrence_of(batch: Batch) -> str:
    """
    The time that a batch is for, in UTC, as text; of those that have none, when they began.
    """
    occurrence = getattr(batch, "occurrence", None) or batch.created_at
    return occurrence.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day_of(batch: Batch) -> date:
    """
    The day that a batch is for: what `{{ date }}` was.
    """
    return date.fromisoformat(batch.plan.day) if batch.plan.day else batch.created_at.date()
