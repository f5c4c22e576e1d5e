"""Results that only the platform has, and when it deletes them. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.pasted_command import pasted_command

# A warning on a Friday still leaves time on Monday.
WARNED_BEFORE = timedelta(days=3)


def expires_at(batch: Batch, totals: Totals) -> datetime | None:
    """When the platform deletes the first results that are not on disk; None for never."""
    if totals.uncollected is None or batch.keeps_days is None:
        return None
    return totals.uncollected.since + timedelta(days=batch.keeps_days)


def expiry_warning(batch: Batch, totals: Totals, folder: str, now: datetime) -> str | None:
    """
    A warning before the platform deletes results; None if there is time, or nothing to lose.

    Args:
        folder: of the batch, as messages show it.
    """
    at = expires_at(batch, totals)
    if at is None or totals.uncollected is None or at - now > WARNED_BEFORE:
        return None
    command = "collect" if batch.state is BatchState.ENDED else "resume"
    fate = "deletes them at" if at > now else "may have deleted them at"
    return (
        f"the results of {totals.uncollected.runs} runs are not on disk, and the platform {fate} "
        f"{at:%Y-%m-%d %H:%M} UTC: run `{pasted_command(command, folder)}`"
    )
