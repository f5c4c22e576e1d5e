"""
Downloads the results of jobs that are needed here and are not on this machine.

Another machine may have collected them into a folder of its own.
"""

from __future__ import annotations

from anyio import to_thread

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.collect import Collector
from orchestrator.event_log import LOG, bound
from orchestrator.model.ids import JobKey


async def ensure_results(batch: OpenBatch, collector: Collector, key: JobKey) -> None:
    """
    Downloads the results of a job unless they are on disk as they were collected.

    Files that differ may be those of an earlier attempt, which another machine has followed by the
    one that counts.

    Raises:
        PlatformError: they cannot be downloaded.
        DiskFull, OutputLost.
    """
    report = batch.reader.report(key)
    if report is None or report.run_id is None:
        return
    folder = collector.folder_of(key)
    found = await to_thread.run_sync(check_files, folder, report)
    if not found.problems:
        return
    with bound(job=key, attempt=report.attempts, run=report.run_id):
        LOG.info("results_downloaded_again", reason=found.problems[0])
        answer = await batch.client.runs.get(report.run_id, insist=True)
        await collector.collect(
            report.sent,
            answer.facts(),
            answer.to_json(),
            number=report.attempts,
            kept=found.items,
        )
