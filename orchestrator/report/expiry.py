"""Results that are still on the platform alone, and for how long. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState

WARNED_BEFORE = timedelta(days=3)


def expires_at(batch: Batch, totals: Totals) -> datetime | None:
    """When the platform deletes the first results that are not on disk; None when it does not."""
    if totals.uncollected is None or batch.keeps_days is None:
        return None
    return totals.uncollected.since + timedelta(days=batch.keeps_days)


def expiry_warning(batch: Batch, totals: Totals, folder: str, now: datetime) -> str | None:
    """
    What to do before results are gone; None while there is time, or nothing to lose.

    Args:
        folder: of the batch, as it is told to people.
    """
    at = expires_at(batch, totals)
    if at is None or totals.uncollected is None or at - now > WARNED_BEFORE:
        return None
    command = "collect" if batch.state is BatchState.ENDED else "resume"
    fate = "keeps it until" if at > now else "may have deleted it since"
    return (
        f"what {totals.uncollected.runs} of its runs made is not on disk, and the platform {fate} "
        f"{at:%Y-%m-%d %H:%M} UTC: orchestrator {command} {folder}"
    )
