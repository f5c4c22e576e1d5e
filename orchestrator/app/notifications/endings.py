"""How batches ended, read from their ledgers."""

from __future__ import annotations

from pathlib import Path

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import earlier_batches
from orchestrator.app.notifications.news import Ending
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch
from orchestrator.model.states import JobStatus

FINE = frozenset({JobStatus.SUCCEEDED, JobStatus.WAITING})


def ending_of(
    folder: Path, batch: Batch, code: int, reason: OrchestratorError | None = None
) -> Ending:
    """
    How a batch ended; without its failed jobs if the ledger cannot be read.

    Args:
        code: the exit code, which later steps may have changed.
        reason: why it stopped early, if the ledger could not record it.
    """
    kind = batch.stop_kind or (None if reason is None else type(reason).__name__)
    failed: dict[str, str] = {}
    try:
        with LedgerReader(folder / LEDGER) as reader:
            failed = {key: status for _, key, status in reader.statuses() if status not in FINE}
    except (OrchestratorError, OSError):
        pass
    return Ending(exit_code=code, stop_kind=kind, failed=failed)


def ending_before(folder: Path, batch: Batch) -> Ending | None:
    """How the last batch of the series before this one ended; None if there is none."""
    for found in earlier_batches(folder, batch):
        if found.batch.is_done:
            return ending_of(found.folder, found.batch, found.batch.exit_code or 0)
    return None
