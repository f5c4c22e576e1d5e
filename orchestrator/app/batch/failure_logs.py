"""Keeps the end of the log of one run for each cause of failures, for `status` and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.model.ids import RunId
from orchestrator.model.progress import FailedJob
from orchestrator.report.failures import group_failures, pattern_of
from orchestrator.report.log_end import END_BYTES, kept_end

MOST_LOGS = 10
ALL_SECS = 10.0
"""How long all of them may take together: the batch has ended, and a person waits."""

LOOK_EVERY_SECS = 2.0


async def keep_first_log_ends(
    batch: OpenBatch, failures: Callable[[], Sequence[FailedJob]]
) -> None:
    """
    Reads the log of one job of each cause while the batch runs, for `status`; until cancelled.

    Args:
        failures: the latest failed jobs, one for each cause.
    """
    seen: set[tuple[str, str]] = set()
    while len(seen) < MOST_LOGS:
        await anyio.sleep(LOOK_EVERY_SECS)
        for job in failures():
            cause = job.status, pattern_of(job.error, job.key)
            if cause in seen or len(seen) == MOST_LOGS:
                continue
            seen.add(cause)
            failure = batch.reader.failure(job.key)
            if failure is not None and failure.run_id is not None and failure.log_end is None:
                await _keep(batch, failure.seq, failure.attempts, failure.run_id)


async def keep_log_ends(batch: OpenBatch) -> None:
    """
    Reads the logs of the examples of the largest groups of failures, unless that was done before.

    A log that cannot be read is left out: the failure itself is recorded.
    """
    groups = group_failures(batch.reader.failed_jobs())[:MOST_LOGS]
    with anyio.move_on_after(ALL_SECS):
        async with anyio.create_task_group() as tasks:
            for group in groups:
                if group.run_id is not None and not group.log_end:
                    tasks.start_soon(_keep, batch, group.example_seq, group.attempts, group.run_id)


async def _keep(batch: OpenBatch, seq: int, number: int, run_id: RunId) -> None:
    """Keeps the end of the log of an attempt."""
    try:
        text = kept_end(await _read_end(batch, run_id))
        if text:
            await batch.ledger.keep_log_end(seq, number, text)
    except OrchestratorError as error:
        LOG.debug("failure_log_not_read", run=run_id, error=str(error))


async def _read_end(batch: OpenBatch, run_id: RunId) -> bytes:
    end = b""
    async with batch.client.runs.stream_log(run_id) as download:
        async for chunk in download.chunks():
            end = (end + chunk)[-END_BYTES:]
    return end
