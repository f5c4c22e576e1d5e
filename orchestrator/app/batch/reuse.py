"""Reuses the results that earlier batches of a series collected for equal jobs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from anyio import to_thread

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import batches_of, earlier_batches
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.attempt_files import ATTEMPTS
from orchestrator.errors import OutputLost, UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import JobReport, Ledger, LedgerReader
from orchestrator.ledger.reader import ALL
from orchestrator.model.batches import Series
from orchestrator.model.ids import BatchId, JobKey, RunId
from orchestrator.model.jobs import Job, reuse_key
from orchestrator.model.shard import Shard
from orchestrator.model.states import JobStatus
from orchestrator.store.disk_writes import flush_path, link_or_copy, rename_folder, translated

Likeness = tuple[object, ...]


async def reuse_results(
    ledger: Ledger,
    folder: Path,
    now: datetime,
    places: range = ALL,
    *,
    shard: Shard | None = None,
) -> list[JobKey]:
    """
    Settles the jobs of a batch that may reuse the results of earlier jobs; returns which.

    All files of a job are in place before the ledger counts it as settled.

    Args:
        places: in the batch, of the jobs to look at.
        shard: which of several processes this one is; None if it works alone.
    """
    settled: list[JobKey] = []
    # Of its own, because it is read in a thread while others read the batch.
    with LedgerReader(folder / LEDGER, checks=False) as reader:
        wanted = await to_thread.run_sync(_wanted, reader, places)
        if not wanted:
            return settled
        oldest = now - timedelta(seconds=max(job.reuse_secs or 0 for job in _all(wanted)))
        number = 0 if shard is None else shard.number
        reuse = _Reuse(
            ledger=ledger, reader=reader, folder=folder, wanted=wanted, now=now, number=number
        )
        for found in earlier_batches(folder, ledger.batch):
            # One before it may have ended later: it was resumed, or its failed jobs were retried.
            if found.batch.ended_at is not None and found.batch.ended_at < oldest:
                continue
            try:
                with LedgerReader(found.folder / LEDGER) as source:
                    for report in source.reports():
                        settled += await reuse.settle(found.folder, report)
            except UsageError as error:
                LOG.warning("history_not_read", batch=str(found.folder), error=str(error))
            if not wanted:
                break
        for folder_of_source in {reuse.absent[one] for one in wanted if one in reuse.absent}:
            _warn(folder_of_source)
    return settled


@cache
def _warn(earlier: Path) -> None:
    """Warns once in each process, however often it makes jobs of items."""
    LOG.warning(
        "results_not_reused",
        batch=str(earlier),
        reason="files of its jobs are not on this machine; `orchestrator collect` downloads them",
    )


def _wanted(reader: LedgerReader, places: range) -> dict[Likeness, list[Job]]:
    """The jobs that may reuse earlier results, by what both must have in common."""
    wanted: dict[Likeness, list[Job]] = {}
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
        reader: of the batch; no stream of it may be open.
        wanted: the jobs that still want results; see `_wanted`.
        number: of the process, among those that share the batch.
        absent: the newest batch that has run an equal job, and whose files of it are not here.
    """

    ledger: Ledger
    reader: LedgerReader
    folder: Path
    wanted: dict[Likeness, list[Job]]
    now: datetime
    number: int
    absent: dict[Likeness, Path] = field(default_factory=dict)

    async def settle(self, earlier: Path, report: JobReport) -> list[JobKey]:
        """Settles a job with the results of an earlier one; returns its key, if there is one."""
        offer = _offer(report)
        if offer is None:
            return []
        age = self.now - offer.finished_at
        likeness = offer.likeness
        # Only one job of a batch reuses a run, because one job made it.
        job = next((one for one in self.wanted.get(likeness, ()) if _allows(one, age)), None)
        source = earlier / "jobs" / report.job.key
        # Mostly a job that is equal to this one has taken the run: nothing is copied for that.
        if job is None or self.reader.has_run(offer.run_id):
            return []
        if not await to_thread.run_sync(_is_whole, source, report):
            self.absent.setdefault(likeness, earlier)
            return []
        target = self.folder / "jobs" / job.key
        try:
            await to_thread.run_sync(_put, source, target, report, self.number)
        except OutputLost as error:
            # Mostly because `prune` has removed the earlier batch meanwhile.
            LOG.warning("history_not_read", batch=str(earlier), error=str(error))
            return []
        batch = report.reused_from or BatchId(earlier.name)
        if not await self.ledger.reuse(job.seq, report, batch, self.now):
            return []
        self.wanted[likeness].remove(job)
        if not self.wanted[likeness]:
            del self.wanted[likeness]
        LOG.info("job_reused", job=job.key, run=offer.run_id, batch=batch)
        return [job.key]


class Reusable:
    """
    The results that a batch which begins now would reuse; for those who only ask.

    Args:
        home: the folder of the batch name.
    """

    def __init__(self, home: Path, series: Series, now: datetime) -> None:
        self._now = now
        self._found: dict[Likeness, list[tuple[Path, datetime, JobReport]]] = {}
        known: set[RunId] = set()
        for found in batches_of(home, series):
            try:
                with LedgerReader(found.folder / LEDGER) as source:
                    for report in source.reports():
                        offer = _offer(report)
                        if offer is None or offer.run_id in known:
                            continue
                        known.add(offer.run_id)
                        result = found.folder, offer.finished_at, report
                        self._found.setdefault(offer.likeness, []).append(result)
            except UsageError as error:
                LOG.warning("history_not_read", batch=str(found.folder), error=str(error))

    def take(self, job: Job) -> bool:
        """Whether a job takes some of them; no other job takes the same."""
        key = reuse_key(job)
        found = [] if key is None else self._found.get(_hashable(key), [])
        for place, (folder, finished_at, report) in enumerate(found):
            is_young = _allows(job, self._now - finished_at)
            if is_young and _is_whole(folder / "jobs" / report.job.key, report):
                del found[place]
                return True
        return False


class _Offer(NamedTuple):
    """The results of an earlier job, which a job that is equal in `likeness` may reuse."""

    likeness: Likeness
    finished_at: datetime
    run_id: RunId


def _offer(report: JobReport) -> _Offer | None:
    """The results of a job; None if it has none, or none that may be reused."""
    key, finished_at, run_id = reuse_key(report.job), report.finished_at, report.run_id
    is_done = report.status is JobStatus.SUCCEEDED
    if not is_done or key is None or finished_at is None or run_id is None:
        return None
    return _Offer(_hashable(key), finished_at, run_id)


def _allows(job: Job, age: timedelta) -> bool:
    """Whether a job may reuse results of an age."""
    return age <= timedelta(seconds=job.reuse_secs or 0)


def _is_whole(source: Path, report: JobReport) -> bool:
    return not check_files(source, report).problems


def _put(source: Path, target: Path, report: JobReport, number: int) -> None:
    """
    Copies the folder of a job; it appears in one step.

    Other processes that share the batch may do the same at the same time.

    Raises:
        DiskFull, OutputLost.
    """
    part = target.parent / f".{target.name}.{number}.reused"
    old = part.with_suffix(".replaced")
    with translated(str(target)):
        target.parent.mkdir(exist_ok=True)
        for path in (part, old):
            shutil.rmtree(path, ignore_errors=True)
        # There, the job has the one attempt whose results it takes.
        ignore = shutil.ignore_patterns(ATTEMPTS)
        shutil.copytree(source, part, copy_function=_link, ignore=ignore)
        while not rename_folder(part, target):
            if _is_whole(target, report):
                break
            # Not removed at its place, where another process may put the same results.
            with suppress(FileNotFoundError):
                target.rename(old)
        for path in (part, old):
            shutil.rmtree(path, ignore_errors=True)
        for path in (target, target.parent):
            flush_path(path)


def _link(source: str, target: str) -> None:
    # `copytree` would forget what kind of error it was.
    with translated(target):
        link_or_copy(source, target)


def _hashable(key: Likeness) -> Likeness:
    return tuple(repr(part) for part in key)


def _all(wanted: dict[Likeness, list[Job]]) -> Iterator[Job]:
    for jobs in wanted.values():
        yield from jobs
