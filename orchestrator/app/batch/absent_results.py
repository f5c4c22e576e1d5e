"""
Downloads the results of jobs that are needed here and are not on this machine.

Another machine may have collected them into a folder of its own.
"""

from __future__ import annotations

from collections import defaultdict

import anyio
from anyio import to_thread

from orchestrator.app.batch.needed_results import KnownKeys
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.collect import Collector
from orchestrator.errors import InputRejected, PlatformError
from orchestrator.event_log import LOG, bound
from orchestrator.ledger.location import location_of
from orchestrator.model.ids import JobKey


class AbsentResults:
    """Downloads what is absent, each job once: many jobs that start together may need it."""

    def __init__(self, batch: OpenBatch, collector: Collector, known: KnownKeys) -> None:
        self._batch = batch
        self._known = known
        self._collector = collector
        # Other machines may work on the batch now, or have done so before.
        self._is_at_server = location_of(batch.folder / LEDGER) is not None
        self._present: set[JobKey] = set()
        self._turns = defaultdict[JobKey, anyio.Lock](anyio.Lock)

    async def ensure(self, key: JobKey) -> None:
        """
        Downloads the results of a job unless they are on disk as they were collected.

        Files that differ may be those of an earlier attempt, which another machine has followed by
        the one that counts.

        Raises:
            PlatformError: they cannot be downloaded.
            DiskFull, OutputLost.
        """
        # Two downloads at once would write the same part files.
        async with self._turns[key]:
            if key not in self._present:
                await self._ensure(key)
                self._present.add(key)
        self._turns.pop(key, None)

    async def ensure_needed(self, needs: tuple[str, ...]) -> None:
        """
        Downloads the results of jobs that another job needs, where they may not be on this machine.

        Raises:
            InputRejected: they cannot be downloaded.
            PlatformError: the platform is away.
            DiskFull, OutputLost.
        """
        needed = [key for _, keys in self._known.matching(needs) for key in keys]
        for key in filter(self._may_be_absent, needed):
            try:
                await self.ensure(key)
            except PlatformError as error:
                if not error.costs_its_job:
                    raise
                raise InputRejected(
                    f"needs {key}, whose results another machine has, and which cannot be "
                    f"downloaded: {error}"
                ) from error

    def _may_be_absent(self, key: JobKey) -> bool:
        # A folder that this machine alone writes is whole, unless a task downloads into it.
        if self._is_at_server or key in self._turns:
            return key not in self._present
        return not self._collector.folder_of(key).exists()

    async def _ensure(self, key: JobKey) -> None:
        report = self._batch.reader.report(key)
        if report is None or report.run_id is None:
            return
        folder = self._collector.folder_of(key)
        found = await to_thread.run_sync(check_files, folder, report)
        if not found.problems:
            return
        with bound(job=key, attempt=report.attempts, run=report.run_id):
            LOG.info("results_downloaded_again", reason=found.problems[0])
            answer = await self._batch.client.runs.get(report.run_id, insist=True)
            await self._collector.collect(
                report.sent,
                answer.facts(),
                answer.to_json(),
                number=report.attempts,
                kept=found.items,
            )
