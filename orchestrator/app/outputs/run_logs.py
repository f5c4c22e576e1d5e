"""The log of a job's run: from disk if it was collected, else from the platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.model.states import AttemptState
from orchestrator.specfile.diagnostics import unknown


async def log_of(folder: Path, key: str, context: BatchContext) -> AsyncIterator[bytes]:
    """
    The log of the last run of a job, in pieces, until the run has ended.

    Raises:
        UsageError: there is no such job, or it has no run yet.
        PlatformError: the log cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch, report = reader.batch(), reader.report(key)
        if report is None:
            raise UsageError(f"{folder.name}: {unknown(key, reader.keys(), 'job')}")
    if report.run_id is None:
        raise UsageError(f"{report.job.key} has no run yet")
    collected = anyio.Path(folder / "jobs" / report.job.key / "log.txt")
    if report.state is AttemptState.SETTLED and await collected.is_file():
        yield await collected.read_bytes()
        return
    async with (
        connected_client(batch.plan.local, context) as client,
        client.runs.stream_log(report.run_id, follow=True) as download,
    ):
        async for piece in download.chunks():
            yield piece
