"""Reuses the results that earlier batches of a series collected for equal jobs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from anyio import to_thread

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import earlier_batches
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.attempt_files import ATTEMPTS
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import JobReport, Ledger, LedgerReader
from orchestrator.ledger.reader import ALL
from orchestrator.model.ids import BatchId, JobKey
from orchestrator.model.jobs import Job, reuse_key
from orchestrator.model.states import JobStatus
from orchestrator.store.disk_writes import flush_path, link_or_copy

Likeness = tuple[object, ...]


async def reuse_results(
    ledger: Ledger, folder: Path, now: datetime, places: range = ALL
) -> list[JobKey]:
    """
    Settles the jobs of a batch that may reuse the results of earlier jobs; returns which.

    Args:
        places: in the batch, of the jobs to look at.

    All files of a job are in place before the ledger counts it as settled.
    """
    wanted = await to_thread.run_sync(_wanted, folder, places)
    settled: list[JobKey] = []
    if not wanted:
        return settled
    oldest = now - timedelta(seconds=max(job.reuse_secs or 0 for job in _all(wanted)))
    reuse = _Reuse(ledger=ledger, folder=folder, wanted=wanted, now=now)
    for found in earlier_batches(folder, ledger.batch):
        try:
            with LedgerReader(found.folder / LEDGER) as source:
                batch = source.batch()
                if batch.ended_at is not None and batch.ended_at < oldest:
                    break
                for report in source.reports():
                    settled += await reuse.settle(found.folder, report)
        except UsageError as error:
            LOG.warning("history_not_read", batch=str(found.folder), error=str(error))
        if not wanted:
            break
    return settled


def _wanted(folder: Path, places: range) -> dict[Likeness, list[Job]]:
    """The jobs that may reuse earlier results, by what both must have in common."""
    wanted: dict[Likeness, list[Job]] = {}
    with LedgerReader(folder / LEDGER, checks=False) as reader:
        seqs = reader.reusing(places)
        for report in reader.reports(places) if seqs else ():
            key = reuse_key(report.job)
            if report.job.seq in seqs and key is not None:
                wanted.setdefault(_hashable(key), []).append(report.job)
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reuse:
    """
    Gives the results of earlier jobs to the jobs of one batch.

    Attributes:
        wanted: the jobs that still want results; see `_wanted`.
    """

    ledger: Ledger
    folder: Path
    wanted: dict[Likeness, list[Job]]
    now: datetime

    async def settle(self, earlier: Path, report: JobReport) -> list[JobKey]:
        """Settles a job with the results of an earlier one; returns its key, if there is one."""
        key = reuse_key(report.job)
        if report.status is not JobStatus.SUCCEEDED or key is None or report.finished_at is None:
            return []
        likeness = _hashable(key)
        age = self.now - report.finished_at
        # Only one job of a batch reuses a run, because one job made it.
        job = next((one for one in self.wanted.get(likeness, ()) if _allows(one, age)), None)
        source = earlier / "jobs" / report.job.key
        if job is None or not await to_thread.run_sync(_is_whole, source, report):
            return []
        await to_thread.run_sync(_put, source, self.folder / "jobs" / job.key)
        batch = report.reused_from or BatchId(earlier.name)
        if not await self.ledger.reuse(job.seq, report, batch, self.now):
            return []
        self.wanted[likeness].remove(job)
        if not self.wanted[likeness]:
            del self.wanted[likeness]
        LOG.info("job_reused", job=job.key, run=report.run_id, batch=batch)
        return [job.key]


def _allows(job: Job, age: timedelta) -> bool:
    """Whether a job may reuse results of an age."""
    return age <= timedelta(seconds=job.reuse_secs or 0)


def _is_whole(source: Path, report: JobReport) -> bool:
    return not check_files(source, report).problems


def _put(source: Path, target: Path) -> None:
    """Copies the folder of a job; it appears in one step."""
    target.parent.mkdir(exist_ok=True)
    part = target.parent / f".{target.name}.reused"
    shutil.rmtree(part, ignore_errors=True)
    # There, the job has the one attempt whose results it takes.
    ignore = shutil.ignore_patterns(ATTEMPTS)
    shutil.copytree(source, part, copy_function=link_or_copy, ignore=ignore)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    for path in (target, target.parent):
        flush_path(path)


def _hashable(key: Likeness) -> Likeness:
    return tuple(repr(part) for part in key)


def _all(wanted: dict[Likeness, list[Job]]) -> Iterator[Job]:
    for jobs in wanted.values():
        yield from jobs
