"""
Fetches what the runs of a ledger hold and the disk does not, and brings costs up to date.

Nothing is started and nothing is waited for: jobs under way are left to `resume`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from structlog.contextvars import bound_contextvars

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import downloads_at_once
from orchestrator.app.account.costs import update_costs
from orchestrator.app.batch.final_files import write_reports
from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.estimates import usual_items
from orchestrator.app.outputs.merge import merged
from orchestrator.app.outputs.object_store import uploaded
from orchestrator.app.outputs.shared_datasets import collect_shared
from orchestrator.app.outputs.verification import look_again
from orchestrator.app.setup.context import BatchContext, client_options, connected, logging_to
from orchestrator.app.setup.signals import listen
from orchestrator.collector.acceptance import Acceptance
from orchestrator.collector.collect import Collector
from orchestrator.collector.disk_check import Found
from orchestrator.errors import (
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
)
from orchestrator.event_log import LOG
from orchestrator.group_worker import GroupWorker
from orchestrator.ledger import Ledger, LedgerReader, open_ledger
from orchestrator.ledger.records import JobReport
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.ids import JobKey
from orchestrator.model.proofs import proof_from
from orchestrator.model.runs import Run
from orchestrator.model.selection import Keys, Selection
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.retries import outcome_of_check, outcome_of_run
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """
    What `collect` did.

    Attributes:
        fetched: jobs of which something was missing on disk, and is there now.
        lacking: jobs of which something cannot be had, with the reason.
        under_way: how many jobs have a run that nobody has followed to its end.
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
        # What became of the merged results and of the upload.
        return min(1, self.result.batch.exit_code or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What is written besides what the spec asks for: `run.json` and `input.json`."""

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
    folder: Path, context: BatchContext, selection: Selection | Keys, extra: Extra = NOTHING_MORE
) -> Collecting:
    """
    Collects what is missing of a batch that this process holds the lock of.

    Raises:
        UsageError, PlatformError: nothing was fetched.
    """
    with open_ledger(folder / LEDGER) as db, LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        async with (
            connected(batch, context) as endpoint,
            GroupWorker("ledger", partial(commit_group, db)) as ledger_worker,
            GroupWorker("files", flush_group) as file_worker,
            ApifyClient(client_options(endpoint, context.settings, context.timings)) as client,
        ):
            ledger = Ledger(db, ledger_worker)
            settle_secs = context.settings.settles_after_secs(batch)
            files = Files(file_worker)
            collector = Collector(
                client,
                files,
                folder=folder / "jobs",
                patience_secs=context.settings.platform_away_secs,
                settled_after_secs=settle_secs,
            )
            acceptance = Acceptance(folder / "jobs", usual_items(folder, reader))
            gaps = Gaps(
                ledger=ledger,
                reader=reader,
                client=client,
                collector=collector,
                acceptance=acceptance,
                settle_secs=settle_secs,
                began_at=anyio.current_time(),
            )
            with logging_to(folder, context.sink):
                reason = await _bring_up_to_date(gaps, reader, selection, extra, context)
                if reason is None:
                    await collect_shared(
                        folder,
                        ledger,
                        reader,
                        client,
                        files,
                        patience_secs=context.settings.platform_away_secs,
                    )
                await ledger.add_requests(client.stats.requests, client.stats.retries)
                batch = await ledger.judge_batch()
                totals = reader.totals()
                write_reports(folder, batch, reader, totals)
                batch = await merged(folder, batch)
    batch = await uploaded(folder, batch)
    return Collecting(
        result=Result(folder=folder, batch=batch, totals=totals, reason=reason),
        fetched=[key for _, key in sorted(gaps.fetched)],
        lacking={key: error for _, key, error in sorted(gaps.lacking)},
        under_way=gaps.under_way,
    )


async def _bring_up_to_date(
    gaps: Gaps,
    reader: LedgerReader,
    selection: Selection | Keys,
    extra: Extra,
    context: BatchContext,
) -> OrchestratorError | None:
    """Closes all gaps, several at once; returns why it was left early."""
    reports = (
        extra.added_to(report)
        for report in reader.reports()
        if report.run_id is not None
        and selection.matches(report.job.key, report.status, report.job.tags)
    )
    reasons: list[OrchestratorError] = []
    at_once = downloads_at_once(context.settings, gaps.ledger.batch)

    async def work() -> None:
        try:
            for report in reports:
                with bound_contextvars(
                    job=report.job.key, attempt=report.attempts, run=report.run_id
                ):
                    await gaps.close(report)
        except OrchestratorError as error:
            stop(error)

    def stop(reason: OrchestratorError) -> None:
        reasons.append(reason)
        workers.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as workers:
            await tasks.start(listen, stop, name="signals")
            for number in range(at_once):
                workers.start_soon(work, name=f"collect-{number}")
        tasks.cancel_scope.cancel()
    if reasons:
        return reasons[0]
    try:
        await update_costs(gaps.ledger, reader, gaps.client)
    except PlatformError as error:
        # What was fetched stays, and is reported.
        LOG.warning("costs_not_read", error=str(error))
        if not error.costs_its_job:
            return gaps.reason or error
    return gaps.reason


@dataclass(slots=True)
class Gaps:
    """
    The jobs of a batch that lack something on disk, dealt with one by one.

    Attributes:
        settle_secs: how long after a run's end its items may not be counted yet.
        began_at: when this began, on the monotonic clock: all runs had ended by then.
        fetched, lacking: as in `Collecting`, with the place in the spec before the key.
        reason: why not all could be read; None while it is nothing that concerns every job.
    """

    ledger: Ledger
    reader: LedgerReader
    client: ApifyClient
    collector: Collector
    acceptance: Acceptance
    settle_secs: float
    began_at: float
    fetched: list[tuple[int, JobKey]] = field(default_factory=list)
    lacking: list[tuple[int, JobKey, str]] = field(default_factory=list)
    under_way: int = 0
    reason: OrchestratorError | None = None

    async def close(self, report: JobReport) -> None:
        """
        Fetches what is missing of one job, and judges it again.

        Raises:
            StoppedEarly, PlatformError: of concern to all jobs.
        """
        job = report.job
        is_lost = report.state is AttemptState.LOST
        if report.run_id is None or not (is_lost or report.state is AttemptState.SETTLED):
            self.under_way += 1
            return
        folder = self.collector.folder_of(job.key)
        found = await to_thread.run_sync(look_again, folder, report)
        if not (is_lost or report.is_unread or found.problems or self._is_unproven(report)):
            return
        if await self._described(report):
            return
        try:
            told = await self.client.runs.get(report.run_id, insist=True)
            run = told.facts()
            if is_lost and not await self.ledger.mark_found_again(job.seq, report.attempts, run):
                self.under_way += 1
                return
            await anyio.sleep(self._secs_to_settle(run))
            collected = await self.collector.collect(job, run, told.to_json(), kept=found.items)
        except PlatformError as error:
            if isinstance(error, PlanLimitReached):
                # What the plan still allows to read is fetched all the same.
                self.reason = self.reason or PlanExhausted(str(error))
            elif not error.costs_its_job:
                raise
            self.lacking.append((job.seq, job.key, str(error)))
            return
        outcome = outcome_of_run(run)
        if outcome.error is None:
            complaint = await self.acceptance.complaint(job, run, collected)
            outcome = outcome_of_check(run, complaint)
        await self.ledger.mark_collected_again(job.seq, report.attempts, outcome, collected)
        after = await to_thread.run_sync(
            look_again,
            folder,
            replace(
                report,
                items=collected.items,
                size_bytes=collected.size_bytes,
                sha256=collected.sha256,
                records=collected.records,
                missing=collected.missing,
                proof=collected.proof,
                unproven=collected.unproven,
                datasets=collected.datasets,
            ),
        )
        if _files_of(after) != _files_of(found):
            self.fetched.append((job.seq, job.key))
            LOG.info("job_collected_again")

    async def _described(self, report: JobReport) -> bool:
        """Writes what the ledger has, where nothing else is missing; returns whether that is so."""
        job, plan = report.job, report.job.collect
        run_json = self.reader.run_object(job.seq, report.attempts)
        only_described = replace(job, collect=replace(plan, run=False, input=False))
        if self._is_unproven(report) or (run_json is None and plan.run):
            return False
        folder = self.collector.folder_of(job.key)
        rest = await to_thread.run_sync(look_again, folder, replace(report, job=only_described))
        if rest.problems:
            return False
        await self.collector.describe(job, run_json)
        self.fetched.append((job.seq, job.key))
        return True

    def _is_unproven(self, report: JobReport) -> bool:
        """Whether more items may have appeared than were collected."""
        if not report.job.collect.items:
            return False
        proofs = [report.proof]
        proofs += [proof_from(other.proof) for other in report.datasets if not other.is_shared]
        return any(proof is None or proof.after_secs < self.settle_secs for proof in proofs)

    def _secs_to_settle(self, run: Run) -> float:
        """How long it takes until all items of an ended run are counted."""
        known_secs = anyio.current_time() - self.began_at
        platform_now = self.client.platform_now()
        if run.finished_at is not None and platform_now is not None:
            known_secs = max(known_secs, (platform_now - run.finished_at).total_seconds())
        return max(0.0, self.settle_secs - known_secs)


def _files_of(found: Found) -> tuple[object, ...]:
    items = found.items
    return found.problems, None if items is None else (items.sha256, items.size_bytes)
