"""How a process leaves a batch: it has closed the batch, or another process does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    How a process left a batch.

    Attributes:
        batch, totals: when it stopped.
        reason: why it stopped early; None when every job is settled.
        live_runs: how many runs go on at the platform.
        is_closed_here: whether this process has closed it, and no other one does.
    """

    batch: Batch
    totals: Totals
    reason: OrchestratorError | None
    live_runs: int
    is_closed_here: bool = True


def ending_of_others(batch: OpenBatch, reason: OrchestratorError | None) -> Ending:
    """How this process leaves a batch that another one closes, or has closed."""
    left, totals = batch.reader.batch(), batch.reader.totals()
    if left.exit_code is None and reason is not None:
        left = replace(left, exit_code=reason.exit_code, stop_reason=str(reason))
    return Ending(
        batch=left,
        totals=totals,
        reason=reason,
        live_runs=len(batch.reader.live_runs()),
        is_closed_here=False,
    )
