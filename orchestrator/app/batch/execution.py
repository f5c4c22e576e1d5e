"""Drives the scheduler of one batch, tells what waits meanwhile, and closes its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room
from orchestrator.app.account.preflight import keep_limits
from orchestrator.app.batch.assembly import OpenBatch, SchedulerOptions, make_scheduler
from orchestrator.app.batch.backlog import queued_attempt, read_backlog
from orchestrator.app.batch.final_files import finish
from orchestrator.app.batch.progress_events import BatchEvents
from orchestrator.app.batch.reuse import reuse_results
from orchestrator.app.batch.takeover import make_finder, take_over
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.clock import utc_now
from orchestrator.app.outputs.merge import merged
from orchestrator.app.outputs.shared_datasets import collect_shared
from orchestrator.app.setup.context import (
    BatchContext,
    Endpoint,
    client_options,
    logging_to,
)
from orchestrator.app.setup.settings import Settings
from orchestrator.app.setup.signals import listen, listening
from orchestrator.errors import (
    BatchAborted,
    BatchHeld,
    DiskFull,
    Interrupted,
    LeftForNextOccurrence,
    OrchestratorError,
    PermanentError,
    PlatformError,
    SecondCopy,
    StoppedEarly,
    UsageError,
)
from orchestrator.event_log import LOG, LogSink
from orchestrator.group_worker import GroupWorker
from orchestrator.ledger import Ledger, LedgerReader, open_ledger
from orchestrator.ledger.statistics import Totals
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import Batch, BatchState, Wait
from orchestrator.model.ids import RunId
from orchestrator.model.states import JobStatus
from orchestrator.report.progress import Progress
from orchestrator.scheduler.loop import Scheduler
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group

ABORT_SECS = 8.0
WAITS_EVERY_SECS = 2.0
CLOCK_EVERY_SECS = 30.0


async def drive(
    folder: Path,
    endpoint: Endpoint,
    room: Room,
    context: BatchContext,
    *,
    aborting: bool,
    is_new: bool = False,
) -> tuple[Batch, Totals, OrchestratorError | None]:
    """
    Drives a batch until it is settled or left, and writes its reports.

    Args:
        aborting: whether its live runs are aborted, and no job is started.
        is_new: whether this process has just made it: then there is nothing to take over.

    Returns:
        the batch and its figures as this process leaves them, and why it was left early.
    """
    early: list[Interrupted] = []
    options = SchedulerOptions(
        settings=context.settings,
        room=room,
        aborting="`orchestrator abort` was called" if aborting else None,
        timings=context.timings,
    )
    with ExitStack() as signals, logging_to(folder, context.sink):
        # Until the scheduler listens itself: so that the ledger says which signal stopped it.
        signals.enter_context(listening(early.append))
        with open_ledger(folder / LEDGER) as db, LedgerReader(folder / LEDGER) as reader:
            async with (
                GroupWorker("ledger", partial(commit_group, db)) as ledger_worker,
                GroupWorker("files", flush_group) as file_worker,
                ApifyClient(client_options(endpoint, context.settings, context.timings)) as client,
            ):
                ledger = Ledger(db, ledger_worker)
                files = Files(file_worker)
                batch = OpenBatch(
                    ledger=ledger, reader=reader, client=client, files=files, folder=folder
                )
                reason = await _schedule(batch, options, context, early, is_new=is_new)
                signals.close()
                if isinstance(reason, (BatchHeld, UsageError)) and not isinstance(
                    reason, SecondCopy
                ):
                    # The ledger, or the batch, is not this process's any more: nothing to close.
                    raise reason
                if context.abort_on_signal and isinstance(reason, Interrupted):
                    await _abort_live_runs(ledger, client)
                if reason is None or isinstance(reason, StoppedEarly):
                    reason = await _collect_shared(batch, options.settings) or reason
                closed, totals = await _close(ledger, reader, client, reason)
        closed = await merged(folder, closed)
    # On a full disk the figures are still shown, and the files can be made again later.
    with suppress(*((StoppedEarly,) if reason else ())):
        closed = await finish(folder, closed)
    return closed, totals, reason


async def complete(folder: Path, batch: Batch, sink: LogSink) -> Batch:
    """Merges the results and writes the reports of a batch without live runs; starts nothing."""
    with logging_to(folder, sink):
        batch = await merged(folder, batch)
    return await finish(folder, batch)


async def _schedule(
    batch: OpenBatch,
    options: SchedulerOptions,
    context: BatchContext,
    early: Sequence[Interrupted],
    *,
    is_new: bool,
) -> OrchestratorError | None:
    """Runs the scheduler until the batch is settled or left; returns why it was left."""
    batch.client.set_clock(options.room.clock)
    observer = BatchEvents(Progress(total=0, began_at=0.0))
    finder = make_finder(batch, options, observer)
    if not is_new:
        try:
            await take_over(batch, options, finder)
        except (PlatformError, SecondCopy) as reason:
            return reason
    attempts = await _own(batch, options, is_forced=context.force)
    # Read now, not on opening: the take-over has compared the ledger with the account's runs.
    backlog, progress = read_backlog(batch, options, attempts)
    scheduler = make_scheduler(
        batch, backlog, options, finder=finder, observer=BatchEvents(progress)
    )
    LOG.info(
        "batch_started",
        jobs=progress.total,
        waiting=len(backlog.queue),
        max_runs=backlog.usage.limits.max_runs,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(listen, scheduler.stop, name="signals")
        for signal in early:
            scheduler.stop(signal)
        _attend(tasks, batch, options, context, scheduler=scheduler, progress=progress)
        try:
            await scheduler.run((one, queued_attempt(one, options.room)) for one in attempts)
        except (StoppedEarly, Interrupted, PlatformError, BatchHeld, UsageError) as reason:
            return reason
        finally:
            tasks.cancel_scope.cancel()
    if options.is_aborting and backlog.waiting:
        return BatchAborted("aborted, with jobs left to start")
    return None


async def _own(batch: OpenBatch, options: SchedulerOptions, *, is_forced: bool) -> list[Attempt]:
    """Makes this process the owner of the batch; returns its open attempts."""
    ledger, room = batch.ledger, options.room
    attempts = await ledger.take_over()
    await ledger.set_costs_settle_secs(options.settings.costs_settle_secs)
    if room.keeps_days is not None:
        await ledger.set_keeps_days(room.keeps_days)
    if not (options.is_aborting or is_forced):
        await reuse_results(ledger, batch.reader, batch.folder, utc_now())
    await _learn_clock(batch.client, attempts)
    return attempts


def _attend(
    tasks: TaskGroup,
    batch: OpenBatch,
    options: SchedulerOptions,
    context: BatchContext,
    *,
    scheduler: Scheduler,
    progress: Progress,
) -> None:
    """Starts what goes on beside the scheduler: the display, the limits, the reasons of waits."""
    tasks.start_soon(context.display.show, progress, scheduler.waits_for, name="display")
    if context.leave_at is not None:
        tasks.start_soon(_leave_at, context.leave_at, scheduler, name="next-occurrence")
    if not options.is_aborting:
        plan = batch.ledger.batch.plan
        keep = partial(keep_limits, batch.client, scheduler, plan, options.settings)
        tasks.start_soon(keep, name="limits")
        tasks.start_soon(_tell_waits, batch.ledger, scheduler, name="waits")


async def _collect_shared(batch: OpenBatch, settings: Settings) -> OrchestratorError | None:
    """Downloads the datasets that runs share; returns why they could not be."""
    try:
        await collect_shared(
            batch.folder,
            batch.ledger,
            batch.reader,
            batch.client,
            batch.files,
            patience_secs=settings.platform_away_secs,
        )
    except (StoppedEarly, PlatformError) as error:
        return error
    return None


async def _learn_clock(client: ApifyClient, attempts: Iterable[Attempt]) -> None:
    """Asks for the platform's time, by which runs that ended earlier need no further wait."""
    ended = [attempt.run for attempt in attempts if attempt.ended_at is not None]
    if ended and ended[0] is not None and client.platform_now() is None:
        with suppress(PermanentError):
            await client.runs.get(ended[0].id)


async def _leave_at(instant: datetime, scheduler: Scheduler) -> None:
    """Leaves the batch at an instant of the wall clock, which may be set meanwhile."""
    while (left := (instant - utc_now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall clock
        await anyio.sleep(min(left, CLOCK_EVERY_SECS))
    scheduler.stop(LeftForNextOccurrence())


async def _tell_waits(ledger: Ledger, scheduler: Scheduler) -> None:
    """Keeps in the ledger why jobs wait, for `status --why`; until cancelled."""
    told: list[Wait] = []
    while True:
        waits = scheduler.waits()
        try:
            # Also when there is nothing new: it shows whether the batch is still this process's.
            await (ledger.check_owner() if waits == told else ledger.record_waits(waits))
        except DiskFull:
            # It stops the batch where it matters more.
            pass
        except (StoppedEarly, BatchHeld, UsageError) as error:
            scheduler.stop(error)
        told = waits
        await anyio.sleep(WAITS_EVERY_SECS)


async def _abort_live_runs(ledger: Ledger, client: ApifyClient) -> None:
    """Aborts what the ledger knows to be going, within the time that a signal leaves."""

    async def abort(run_id: RunId) -> None:
        try:
            await client.runs.abort(run_id)
        except PlatformError as error:
            LOG.warning("run_not_aborted", run=run_id, error=str(error))
        else:
            LOG.info("run_aborted", run=run_id)

    with anyio.move_on_after(ABORT_SECS):
        async with anyio.create_task_group() as aborts:
            for run_id in await ledger.live_runs():
                aborts.start_soon(abort, run_id, name=f"abort {run_id}")


async def _close(
    ledger: Ledger, reader: LedgerReader, client: ApifyClient, reason: OrchestratorError | None
) -> tuple[Batch, Totals]:
    """Records how the batch is left; returns it with its figures, which no later step changes."""
    totals = reader.totals()
    jobs = totals.jobs
    if reason is not None:
        state, exit_code = BatchState.STOPPED, reason.exit_code
    else:
        state, exit_code = BatchState.ENDED, int(set(jobs) != {JobStatus.SUCCEEDED})
    try:
        await ledger.add_requests(client.stats.requests, client.stats.retries)
        batch = await ledger.close(
            state,
            exit_code=exit_code,
            reason=reason,
            now=utc_now(),
        )
    except StoppedEarly:
        if reason is None:
            raise
        # The disk is full: the ledger stays open, which resume takes as it is.
        batch = replace(ledger.batch, exit_code=exit_code, stop_reason=str(reason))
    LOG.info(
        "batch_left",
        state=batch.state.value,
        exit_code=exit_code,
        reason=batch.stop_reason,
        jobs={status.value: count for status, count in jobs.items()},
    )
    return batch, totals
