"""Takes what earlier batches of the same name have collected for jobs alike."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from anyio import to_thread

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.estimates import earlier
from orchestrator.app.outputs.verification import look_again
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import JobReport, Ledger, LedgerReader
from orchestrator.model.ids import BatchId
from orchestrator.model.jobs import Job, reuse_key
from orchestrator.model.states import JobStatus
from orchestrator.store.disk_writes import flush_path

Likeness = tuple[object, ...]


async def reuse_results(ledger: Ledger, reader: LedgerReader, folder: Path, now: datetime) -> int:
    """
    Settles the jobs of a batch that earlier ones have run, if they allow it; returns how many.

    The files of a job are put in place whole before the ledger counts it as settled.
    """
    wanted = await to_thread.run_sync(_wanted, reader)
    count = 0
    if not wanted:
        return count
    oldest = now - timedelta(seconds=max(job.reuse_secs or 0 for job in _all(wanted)))
    for before in earlier(folder, ledger.batch):
        try:
            with LedgerReader(before / LEDGER) as source:
                batch = source.batch()
                if batch.ended_at is not None and batch.ended_at < oldest:
                    break
                for report in source.reports():
                    count += await _take(ledger, folder, before, report, wanted, now)
        except UsageError as error:
            LOG.warning("history_not_read", batch=str(before), error=str(error))
        if not wanted:
            break
    return count


def _wanted(reader: LedgerReader) -> dict[Likeness, list[Job]]:
    """The jobs that may take earlier results, by what these must have in common with them."""
    wanted: dict[Likeness, list[Job]] = {}
    seqs = set(reader.reusing())
    for report in reader.reports() if seqs else ():
        sign = reuse_key(report.job)
        if report.job.seq in seqs and sign is not None:
            wanted.setdefault(_hashable(sign), []).append(report.job)
    return wanted


async def _take(
    ledger: Ledger,
    folder: Path,
    earlier: Path,
    report: JobReport,
    wanted: dict[Likeness, list[Job]],
    now: datetime,
) -> int:
    """Gives a job that wants them the results of an earlier one; returns how many were given."""
    sign = reuse_key(report.job)
    if report.status is not JobStatus.SUCCEEDED or sign is None or report.finished_at is None:
        return 0
    sign = _hashable(sign)
    # A run is taken by one job of a batch, as it was made by one.
    job = next(
        (
            job
            for job in wanted.get(sign, ())
            if now - report.finished_at <= timedelta(seconds=job.reuse_secs or 0)
        ),
        None,
    )
    source = earlier / "jobs" / report.job.key
    if job is None or not await to_thread.run_sync(_is_whole, source, report):
        return 0
    await to_thread.run_sync(_put, source, folder / "jobs" / job.key)
    batch = report.reused_from or BatchId(earlier.name)
    if not await ledger.reuse(job.seq, report, batch, now):
        return 0
    wanted[sign].remove(job)
    if not wanted[sign]:
        del wanted[sign]
    LOG.info("job_reused", job=job.key, run=report.run_id, batch=batch)
    return 1


def _is_whole(source: Path, report: JobReport) -> bool:
    return not look_again(source, report).problems


def _put(source: Path, target: Path) -> None:
    """Copies the folder of a job; it appears whole."""
    target.parent.mkdir(exist_ok=True)
    part = target.parent / f".{target.name}.reused"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, copy_function=_link_or_copy)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    for path in (target, target.parent):
        flush_path(path)


def _link_or_copy(source: str, target: str) -> None:
    """A second name for a file that nobody changes, or a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _hashable(sign: Likeness) -> Likeness:
    return tuple(repr(part) for part in sign)


def _all(wanted: dict[Likeness, list[Job]]) -> Iterator[Job]:
    for jobs in wanted.values():
        yield from jobs
