"""
Downloads the results of jobs that are needed here and are not on this machine.

Another machine may have collected them into a folder of its own.
"""

from __future__ import annotations

from anyio import to_thread

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.collect import Collector
from orchestrator.errors import InputRejected, PlatformError
from orchestrator.event_log import LOG, bound
from orchestrator.model.ids import JobKey
from orchestrator.specfile.jobs.needed_jobs import matching


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


async def ensure_needed(batch: OpenBatch, collector: Collector, needs: tuple[str, ...]) -> None:
    """
    Downloads the results of jobs that another job needs, where this machine has no folder for them.

    Raises:
        InputRejected: they cannot be downloaded.
        PlatformError: the platform is away.
        DiskFull, OutputLost.
    """
    keys = batch.reader.keys()
    absent = [
        keys[place]
        for _, places in matching(needs, list(keys))
        for place in places
        if not collector.folder_of(keys[place]).exists()
    ]
    for key in absent:
        try:
            await ensure_results(batch, collector, key)
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            raise InputRejected(
                f"needs {key}, whose results another machine has, and which cannot be "
                f"downloaded: {error}"
            ) from error
