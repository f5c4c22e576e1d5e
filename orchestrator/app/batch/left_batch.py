"""How a process leaves a batch: it has closed the batch, or another process does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.setup.context import BatchContext
from orchestrator.errors import Interrupted, OrchestratorError, PlatformError
from orchestrator.event_log import LOG
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.ids import RunId

ABORT_SECS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    How a process left a batch.

    Attributes:
        batch, totals: when it stopped.
        reason: why it stopped early; None when every job is settled.
        live_runs: how many runs continue at the platform.
        is_closed_here: whether this process has closed it, and no other one does.
        closer: the name of this process in the ledger, if it has closed a shared batch.
    """

    batch: Batch
    totals: Totals
    reason: OrchestratorError | None
    live_runs: int
    is_closed_here: bool = True
    closer: str | None = None


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


async def leave_runs(batch: OpenBatch, context: BatchContext, reason: OrchestratorError) -> int:
    """Aborts the live runs if a signal must; returns how many continue at the platform."""
    live = batch.reader.live_runs()
    if not (context.abort_on_signal and isinstance(reason, Interrupted)):
        return len(live)
    aborted = 0

    async def abort(run_id: RunId) -> None:
        nonlocal aborted
        try:
            await batch.client.runs.abort(run_id)
        except PlatformError as error:
            LOG.warning("run_not_aborted", run=run_id, error=str(error))
        else:
            aborted += 1
            LOG.info("run_aborted", run=run_id)

    # A signal leaves little time.
    with anyio.move_on_after(ABORT_SECS):
        async with anyio.create_task_group() as aborts:
            for run_id in live:
                aborts.start_soon(abort, run_id, name=f"abort {run_id}")
    return len(live) - aborted
