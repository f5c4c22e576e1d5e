"""What `orchestrator run --dates` does: one batch after the other, one for each day."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from orchestrator.app.batch.batch_call import drive_batch
from orchestrator.app.batch.creation import prepared_batch
from orchestrator.app.batch.lifecycle import (
    complete_batch,
    refuse_live_series,
    refuse_second,
    resume_batch,
    start_prepared,
)
from orchestrator.app.batch_folders import Found, survey
from orchestrator.app.occurrences.schedules import occurrence_of
from orchestrator.app.occurrences.spec_run import SpecRun
from orchestrator.errors import BatchHeld, UsageError
from orchestrator.ledger import BatchLock
from orchestrator.ledger.store import BatchMade
from orchestrator.model.batches import Batch


async def backfill(run: SpecRun, days: Sequence[date]) -> int:
    """
    Runs a batch for each day without a successful one; resumes or completes one that was left.

    Returns:
        The code of the first day that stops early, which ends the command. Otherwise 1 if jobs
        failed, else 0.

    Raises:
        BatchHeld: another process works on a batch of a day.
        UsageError: the batches of some of the days would not stay, or no batch can be for them.
    """
    _check_retention(run, days)
    for day in (days[0], days[-1]):
        # Before the first batch is paid for.
        occurrence_of(day, run.schedule, datetime.now(UTC))
    worst = 0
    for day in days:
        while True:
            try:
                code = await _serve_day(run, day)
                break
            except BatchMade as error:
                # Another call does the same days. Its batch of this day may be done by now.
                run.context.reporter.note(str(error))
        # Failed jobs concern one day; what stops a batch early would stop the next one too.
        if code not in (0, 1):
            return code
        worst = max(worst, code)
    return worst


def _check_retention(run: SpecRun, days: Sequence[date]) -> None:
    kept = run.loaded.spec.retention
    if kept is None or kept.keep_last is None or kept.keep_days is not None:
        return
    if len(days) > kept.keep_last:
        raise UsageError(
            f"--dates names {len(days)} days, and [retention] keeps the last {kept.keep_last} "
            "batches: the others would be removed with their results, and the next call would run "
            "them again. Raise keep_last, add keep_days, or name fewer days"
        )


async def _serve_day(run: SpecRun, day: date) -> int:
    occurrence = occurrence_of(day, run.schedule, datetime.now(UTC))
    series, note = run.series(None), run.context.reporter.note
    of_day = [
        one
        for one in survey(run.home).found
        if one.batch.occurrence == occurrence and series.agrees(one.batch.series)
    ]
    succeeded = [one for one in of_day if one.batch.is_done and one.batch.exit_code == 0]
    if any(_is_whole(run, one.batch) for one in succeeded):
        note(f"{day}: skipped, because a batch of this day has succeeded")
        return 0
    note(f"{day}:")
    if succeeded:
        return await _complete_day(run, succeeded[0].folder)
    begun = next((one.folder for one in of_day if not one.batch.is_done), None)
    if begun is not None:
        return await _resume_day(run, begun)
    return await _run_day(run, occurrence, {one.folder for one in of_day})


def _is_whole(run: SpecRun, batch: Batch) -> bool:
    """Whether a batch that has ended lacks nothing, such as results that its process has merged."""
    owes_news = batch.owes_news and run.context.announcer is not None
    return batch.completed_at is not None and not owes_news


async def _run_day(run: SpecRun, occurrence: datetime, seen: Collection[Path]) -> int:
    def objection(batch: Batch, found: Found) -> BatchHeld | None:
        refusal = refuse_second(batch, found, seen)
        if refusal is None and not run.is_concurrent:
            refusal = refuse_live_series(batch, found)
        return refusal

    with prepared_batch(run.request(occurrence)) as prepared:
        return await drive_batch(start_prepared, prepared, run.context, objection)


async def _complete_day(run: SpecRun, folder: Path) -> int:
    with BatchLock(folder):
        return await drive_batch(complete_batch, folder, run.context)


async def _resume_day(run: SpecRun, folder: Path) -> int:
    # Locked before the spec is compared: no other process can change the batch in between.
    with BatchLock(folder):
        run.handle_changes(folder)
        return await drive_batch(resume_batch, folder, run.context)
