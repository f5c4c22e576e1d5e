"""Keeps the end of the log of one run for each cause of failures, so that reports can show it."""

from __future__ import annotations

import anyio

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.model.ids import RunId
from orchestrator.report.failures import Failures, group_failures
from orchestrator.report.log_end import END_BYTES, kept_end

MOST_LOGS = 10
ALL_SECS = 10.0
"""How long all of them may take together: the batch has ended, and a person waits."""


async def keep_log_ends(batch: OpenBatch) -> None:
    """
    Reads the logs of the examples of the largest groups of failures, unless that was done before.

    A log that cannot be read is left out: the failure itself is recorded.
    """
    groups = group_failures(batch.reader.failed_jobs())[:MOST_LOGS]
    wanted = [group for group in groups if group.run_id is not None and not group.log_end]
    with anyio.move_on_after(ALL_SECS):
        async with anyio.create_task_group() as tasks:
            for group in wanted:
                tasks.start_soon(_keep, batch, group, name=f"log of {group.example}")


async def _keep(batch: OpenBatch, group: Failures) -> None:
    assert group.run_id is not None  # noqa: S101 - the caller has checked it
    try:
        text = kept_end(await _read_end(batch, group.run_id))
        if text:
            await batch.ledger.keep_log_end(group.example_seq, group.attempts, text)
    except OrchestratorError as error:
        LOG.debug("failure_log_not_read", run=group.run_id, error=str(error))


async def _read_end(batch: OpenBatch, run_id: RunId) -> bytes:
    end = b""
    async with batch.client.runs.stream_log(run_id) as download:
        async for chunk in download.chunks():
            end = (end + chunk)[-END_BYTES:]
    return end
