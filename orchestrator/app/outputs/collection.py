"""
Downloads what the runs of a ledger hold and the disk does not, and updates the costs.

Starts nothing and waits for no run: jobs in flight are left to `resume`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.app.account.account_limits import downloads_at_once
from orchestrator.app.account.batch_account import check_account
from orchestrator.app.account.costs import update_costs
from orchestrator.app.batch.final_files import write_reports
from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.batch.open_batch import OpenBatch, open_batch
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.estimates import usual_items
from orchestrator.app.outputs.merge import merged
from orchestrator.app.outputs.object_store import uploaded
from orchestrator.app.outputs.shared_datasets import collect_shared
from orchestrator.app.outputs.verification import check_files, is_of_another_run
from orchestrator.app.setup.context import BatchContext, logging_to
from orchestrator.app.setup.interruption import Listening, listen
from orchestrator.app.setup.settings import Settings
from orchestrator.collector.acceptance import Acceptance
from orchestrator.collector.collect import Collector
from orchestrator.collector.disk_check import Found
from orchestrator.collector.input_copy import NO_INPUT
from orchestrator.errors import (
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
)
from orchestrator.event_log import LOG, bound
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.records import JobReport
from orchestrator.model.attempts import Collected
from orchestrator.model.ids import JobKey
from orchestrator.model.proofs import proof_from
from orchestrator.model.runs import Run
from orchestrator.model.selection import Keys, Selection
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.retries import outcome_of_check, outcome_of_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """
    What `collect` did.

    Attributes:
        fetched: jobs with files that were missing on disk and are there now.
        lacking: jobs with data that cannot be downloaded, with the reason.
        under_way: how many jobs have a run that no process has followed to its end.
    """

    result: Result
    fetched: list[JobKey]
    lacking: dict[JobKey, str]
    under_way: int

    @property
    def exit_code(self) -> int:
        """0 only when every job succeeded and its results are on disk."""
        if self.result.reason is not None:
            return self.result.reason.exit_code
        if self.lacking or set(self.result.totals.jobs) - {JobStatus.SUCCEEDED}:
            return 1
        # The merged results and the upload decide.
        return min(1, self.result.batch.exit_code or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """The files that are written although the spec does not ask: `run.json` and `input.json`."""

    run: bool = False
    input: bool = False

    def added_to(self, report: JobReport) -> JobReport:
        """A job's report as if its spec asked for it."""
        if not self.run and not self.input:
            return report
        plan = report.job.collect
        plan = replace(plan, run=plan.run or self.run, input=plan.input or self.input)
        return replace(report, job=replace(report.job, collect=plan))


NOTHING_MORE = Extra()


async def collect_batch(
    folder: Path,
    context: BatchContext,
    selection: Selection | Keys,
    extra: Extra = NOTHING_MORE,
    *,
    asks: bool = False,
) -> Collecting:
    """
    Collects what is missing of a batch whose lock the caller holds.

    Args:
        asks: whether to ask the platform for more items of jobs that are proven complete, too.

    Raises:
        UsageError: the token belongs to another account.
        PlatformError: nothing was downloaded.
    """
    with LedgerReader(folder / LEDGER) as reader:
        local = reader.batch().plan.local
    async with (
        context.connect(local) as endpoint,
        open_batch(folder, endpoint, context) as opened,
    ):
        gaps = _gaps(opened, context.settings, asks=asks)
        with logging_to(folder, context.sink):
            reason = await _close_all(gaps, selection, extra, context)
            if reason is None:
                patience_secs = context.settings.platform_away_secs
                await collect_shared(opened, patience_secs=patience_secs)
            await opened.sent.record()
            batch = await opened.ledger.judge_batch()
            totals = opened.reader.totals()
            write_reports(folder, batch, opened.reader, totals)
            batch = await merged(folder, batch)
    batch = await uploaded(folder, batch)
    if gaps.lacking:
        # Not before: a batch of which nothing is missing needs no platform.
        with suppress(PlatformError):
            await check_account(folder, batch, context)
    return Collecting(
        result=Result(folder=folder, batch=batch, totals=totals, reason=reason),
        fetched=[key for _, key in sorted(gaps.fetched)],
        lacking={key: error for _, key, error in sorted(gaps.lacking)},
        under_way=gaps.under_way,
    )


def _gaps(batch: OpenBatch, settings: Settings, *, asks: bool) -> Gaps:
    settle_secs = settings.settles_after_secs(batch.ledger.batch)
    return Gaps(
        batch=batch,
        collector=Collector(
            batch.client,
            batch.files,
            folder=batch.folder / "jobs",
            patience_secs=settings.platform_away_secs,
            settled_after_secs=settle_secs,
        ),
        acceptance=Acceptance(batch.folder / "jobs", usual_items(batch.folder, batch.reader)),
        settle_secs=settle_secs,
        began_at=anyio.current_time(),
        asks=asks,
    )


async def _close_all(
    gaps: Gaps, selection: Selection | Keys, extra: Extra, context: BatchContext
) -> OrchestratorError | None:
    """Closes all gaps, several at once, and updates the costs; returns why it stopped early."""
    batch = gaps.batch
    with LedgerReader(batch.folder / LEDGER, checks=False) as reader:
        reports = (
            extra.added_to(report)
            for report in reader.reports()
            if report.run_id is not None
            and selection.matches(report.job.key, report.status, report.job.tags)
        )
        at_once = downloads_at_once(context.settings, batch.ledger.batch)
        stopped = await _close_each(gaps, reports, at_once, context.listening)
    if stopped is not None:
        return stopped
    try:
        await update_costs(batch)
    except PlatformError as error:
        # What was downloaded stays, and is reported.
        LOG.warning("costs_not_read", error=str(error))
        if not error.costs_its_job:
            return gaps.reason or error
    return gaps.reason


async def _close_each(
    gaps: Gaps, reports: Iterator[JobReport], at_once: int, listening: Listening
) -> OrchestratorError | None:
    """Closes the gaps of several jobs at once; returns the first error or signal."""
    reasons: list[OrchestratorError] = []

    async def work() -> None:
        try:
            for report in reports:
                with bound(job=report.job.key, attempt=report.attempts, run=report.run_id):
                    await gaps.close(report)
        except OrchestratorError as error:
            stop(error)

    def stop(reason: OrchestratorError) -> None:
        reasons.append(reason)
        workers.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as workers:
            await tasks.start(listen, listening, stop, name="signals")
            for number in range(at_once):
                workers.start_soon(work, name=f"collect-{number}")
        tasks.cancel_scope.cancel()
    return reasons[0] if reasons else None


@dataclass(slots=True)
class Gaps:
    """
    The jobs of a batch that lack something on disk, closed one by one.

    Attributes:
        settle_secs: how long after a run's end its items may not be counted yet.
        began_at: when this began, on the monotonic clock: all runs had ended by then.
        asks: whether the platform is asked for more items of jobs that are proven complete, too.
        fetched, lacking: as in `Collecting`, with the place in the spec before the key.
        reason: why not all could be read; None unless it concerns every job.
    """

    batch: OpenBatch
    collector: Collector
    acceptance: Acceptance
    settle_secs: float
    began_at: float
    asks: bool
    fetched: list[tuple[int, JobKey]] = field(default_factory=list)
    lacking: list[tuple[int, JobKey, str]] = field(default_factory=list)
    under_way: int = 0
    reason: OrchestratorError | None = None

    async def close(self, report: JobReport) -> None:
        """
        Downloads what is missing of one job, and judges it again.

        Raises:
            StoppedEarly, PlatformError: it concerns all jobs.
        """
        job, ledger = report.job, self.batch.ledger
        is_lost = report.state is AttemptState.LOST
        if report.run_id is None or not (is_lost or report.state is AttemptState.SETTLED):
            self.under_way += 1
            return
        folder = self.collector.folder_of(job.key)
        found = await to_thread.run_sync(check_files, folder, report)
        if not (is_lost or report.is_unread or found.problems or self._is_unproven(report)):
            return
        kept = found.items
        if self.asks and kept is not None:
            # A proof would be believed without a request.
            kept = kept._replace(proof=None)
        try:
            if await self._described(report):
                return
            answer = await self.batch.client.runs.get(report.run_id, insist=True)
            run = answer.facts()
            if is_lost and not await ledger.mark_found_again(job.seq, report.attempts, run):
                self.under_way += 1
                return
            await anyio.sleep(self._secs_to_settle(run))
            collected = await self.collector.collect(
                job, run, answer.to_json(), number=report.attempts, kept=kept
            )
        except PlatformError as error:
            if isinstance(error, PlanLimitReached):
                # The plan may still allow to read other jobs.
                self.reason = self.reason or PlanExhausted(str(error))
            elif not error.costs_its_job:
                raise
            self.lacking.append((job.seq, job.key, str(error)))
            return
        await self._judge(report, run, collected)
        await self._note_collected(report, collected, found)

    async def _note_collected(self, report: JobReport, collected: Collected, before: Found) -> None:
        """Notes whether the files of a job are other ones now, or cannot all be there."""
        job = report.job
        if NO_INPUT in collected.missing and NO_INPUT not in report.missing:
            self.lacking.append((job.seq, job.key, "its input file is not the one that was sent"))
            return
        folder = self.collector.folder_of(job.key)
        after = await to_thread.run_sync(check_files, folder, _with_collected(report, collected))
        others = [[other.sha256 for other in each.datasets] for each in (report, collected)]
        if _files_of(after) != _files_of(before) or others[0] != others[1]:
            self.fetched.append((job.seq, job.key))
            LOG.info("job_collected_again")

    async def _judge(self, report: JobReport, run: Run, collected: Collected) -> None:
        """Records the outcome of an attempt whose results are collected."""
        job, outcome = report.sent, outcome_of_run(run)
        if outcome.error is None:
            complaint = await self.acceptance.complaint(job, run, collected)
            outcome = outcome_of_check(run, complaint)
        ledger = self.batch.ledger
        await ledger.mark_collected_again(job.seq, report.attempts, run, outcome, collected)

    async def _described(self, report: JobReport) -> bool:
        """Writes the files that the ledger holds if no others are missing; returns whether so."""
        job, plan = report.job, report.job.collect
        run_json = self.batch.reader.run_object(job.seq, report.attempts)
        only_described = replace(job, collect=replace(plan, run=False, input=False))
        if self._is_unproven(report) or (run_json is None and plan.run):
            return False
        folder = self.collector.folder_of(job.key)
        if await to_thread.run_sync(is_of_another_run, folder, report):
            return False
        rest = await to_thread.run_sync(check_files, folder, replace(report, job=only_described))
        if rest.problems:
            return False
        await self.collector.describe(report.sent, run_json, number=report.attempts)
        self.fetched.append((job.seq, job.key))
        return True

    def _is_unproven(self, report: JobReport) -> bool:
        """Whether more items may have appeared than were collected."""
        if self.asks:
            return True
        proofs = [report.proof] if report.job.collect.items else []
        proofs += [proof_from(other.proof) for other in report.datasets if not other.is_shared]
        return any(proof is None or proof.after_secs < self.settle_secs for proof in proofs)

    def _secs_to_settle(self, run: Run) -> float:
        """How long it takes until all items of an ended run are counted."""
        known_secs = anyio.current_time() - self.began_at
        platform_now = self.batch.client.platform_now()
        if run.finished_at is not None and platform_now is not None:
            known_secs = max(known_secs, (platform_now - run.finished_at).total_seconds())
        return max(0.0, self.settle_secs - known_secs)


def _with_collected(report: JobReport, collected: Collected) -> JobReport:
    """A job's report with what was collected now."""
    return replace(
        report,
        items=collected.items,
        size_bytes=collected.size_bytes,
        sha256=collected.sha256,
        records=collected.records,
        missing=collected.missing,
        proof=collected.proof,
        unproven=collected.unproven,
        datasets=collected.datasets,
    )


def _files_of(found: Found) -> tuple[object, ...]:
    items = found.items
    return found.problems, None if items is None else (items.sha256, items.size_bytes)
