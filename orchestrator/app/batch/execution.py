"""Runs the scheduler of one batch, records why jobs wait, and closes the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room
from orchestrator.app.account.preflight import keep_limits
from orchestrator.app.batch.assembly import SchedulerOptions, make_scheduler
from orchestrator.app.batch.backlog import read_backlog
from orchestrator.app.batch.failure_logs import keep_first_log_ends, keep_log_ends
from orchestrator.app.batch.final_files import finish
from orchestrator.app.batch.left_batch import Ending, ending_of_others, leave_runs
from orchestrator.app.batch.live_source import LiveSource
from orchestrator.app.batch.open_batch import NOT_OURS, OpenBatch, open_batch
from orchestrator.app.batch.progress_events import BatchEvents
from orchestrator.app.batch.progress_record import record_progress
from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.app.batch.queued_jobs import queued_attempt
from orchestrator.app.batch.reuse import reuse_results
from orchestrator.app.batch.sharing import await_end, kept_lease, make_peers, take_left
from orchestrator.app.batch.takeover import make_finder, take_over
from orchestrator.app.clock import utc_now, wall_now, watch_clock
from orchestrator.app.outputs.merge import merged
from orchestrator.app.outputs.shared_datasets import collect_shared
from orchestrator.app.setup.context import BatchContext, Endpoint, logging_to
from orchestrator.app.setup.interruption import interruptible, listen
from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import (
    BatchAborted,
    Interrupted,
    LeftForNextOccurrence,
    OrchestratorError,
    PermanentError,
    PlatformError,
    SecondCopy,
    StoppedEarly,
)
from orchestrator.event_log import LOG, LogSink
from orchestrator.ledger import Ledger
from orchestrator.ledger.shard_facts import ALONE, Joined
from orchestrator.ledger.statistics import Totals
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.loop import Scheduler

CLOCK_EVERY_SECS = 30.0
"""How often the wall clock is read, which may be set meanwhile."""


async def drive(
    folder: Path,
    endpoint: Endpoint,
    room: Room,
    context: BatchContext,
    *,
    signals: StopRequest,
    aborting: bool,
    is_new: bool = False,
    follows: bool = False,
) -> Ending:
    """
    Runs a batch until it is settled or stopped, and writes its reports.

    Args:
        signals: end what takes long. The rest is never cut short, so that the ledger says how the
            batch has ended.
        aborting: whether its live runs are aborted, and no job is started.
        follows: whether it only follows and collects live runs.
        is_new: whether this process has just made it: then there is nothing to take over.
    """
    reason_to_abort = "`orchestrator abort` was called" if aborting else None
    options = SchedulerOptions(
        settings=context.settings,
        room=room,
        shard=context.shard,
        aborting=reason_to_abort,
        timings=context.timings,
        adds_jobs=not (aborting or follows),
        reuses=not context.force,
    )
    unless_stopped = partial(interruptible, signals.listening)
    with logging_to(folder, context.sink):
        async with open_batch(folder, endpoint, context) as batch:
            if context.watcher is not None:
                context.watcher.began(folder)
            before, followed = batch.reader.extent(), batch.reader.has_open_attempts()
            reason: OrchestratorError | None = None
            joined = ALONE if context.shard is None else await batch.ledger.join()
            if joined.is_open:
                reason = await _schedule(
                    batch, options, context, signals, joined=joined, is_new=is_new
                )
            if isinstance(reason, NOT_OURS) and not isinstance(reason, SecondCopy):
                # This process does not own the ledger or the batch any more: nothing to close.
                raise reason
            if context.shard is not None:
                # Before the batch may be closed by another process, which reports them.
                await batch.sent.record()
                settings, timings = context.settings, context.timings
                is_ours, reason = await await_end(batch, reason, signals, settings, timings)
                if not is_ours:
                    return ending_of_others(batch, reason)
            live_runs = 0 if reason is None else await leave_runs(batch, context, reason)
            reason = await _complete_runs(batch, context, signals, reason)
            owes_news = context.announcer is not None
            # To follow runs is work, also when they continue as before.
            is_idle = not (is_new or followed) and batch.reader.extent() == before
            closed, totals = await _close(batch, reason, owes_news=owes_news, is_idle=is_idle)
            if context.shard is not None:
                async with kept_lease(batch.ledger, context.settings, context.timings):
                    closed = await unless_stopped(merged, folder, closed, batch.ledger)
                    closed = await unless_stopped(
                        _report, folder, closed, reason, totals, batch.ledger
                    )
        if context.shard is None:
            closed = await unless_stopped(merged, folder, closed)
    if context.shard is None:
        # The log, which is uploaded too, is complete by now.
        closed = await unless_stopped(_report, folder, closed, reason, totals)
    closer = None if context.shard is None else batch.ledger.owner
    return Ending(batch=closed, totals=totals, reason=reason, live_runs=live_runs, closer=closer)


async def _report(
    folder: Path,
    closed: Batch,
    reason: OrchestratorError | None,
    totals: Totals,
    closer: Ledger | None = None,
) -> Batch:
    """Writes the reports of a batch that is closed."""
    # On a full disk the figures are still shown, and the files can be written later.
    with suppress(*((StoppedEarly,) if reason else ())):
        closed = await finish(folder, closed, closer, totals)
    return closed


async def _complete_runs(
    batch: OpenBatch,
    context: BatchContext,
    signals: StopRequest,
    reason: OrchestratorError | None,
) -> OrchestratorError | None:
    """Downloads what is read after the last run; returns why the batch stopped."""
    patience_secs = context.settings.platform_away_secs
    try:
        return await interruptible(signals.listening, _read_rest, batch, patience_secs, reason)
    except Interrupted as signal:
        return signal


async def _read_rest(
    batch: OpenBatch, patience_secs: float, reason: OrchestratorError | None
) -> OrchestratorError | None:
    """Downloads shared datasets if the platform can be asked; returns why the batch stopped."""
    if reason is None or isinstance(reason, StoppedEarly):
        reason = await _collect_shared(batch, patience_secs) or reason
    if not isinstance(reason, (Interrupted, PlatformError)):
        await keep_log_ends(batch)
    return reason


async def complete(folder: Path, batch: Batch, sink: LogSink) -> Batch:
    """Merges the results and writes the reports of a batch without live runs; starts nothing."""
    with logging_to(folder, sink):
        batch = await merged(folder, batch)
    return await finish(folder, batch)


async def _schedule(
    batch: OpenBatch,
    options: SchedulerOptions,
    context: BatchContext,
    signals: StopRequest,
    *,
    joined: Joined,
    is_new: bool,
) -> OrchestratorError | None:
    """Runs the scheduler until the batch is settled or stopped; returns why it stopped."""
    batch.client.set_clock(options.room.clock)
    tracker = ProgressTracker(anyio.current_time())
    if context.trace is not None:
        context.trace.begin(batch.ledger.batch, utc_now())
    observer = BatchEvents(tracker, context.trace, context.watcher)
    finder = make_finder(batch, options, observer)
    if not is_new:
        await batch.ledger.begin_call(context.command, context.caller, utc_now())
        try:
            await take_over(batch, options, finder)
        except (PlatformError, SecondCopy) as reason:
            return reason
    peers = None if options.shard is None else make_peers(batch, options)
    if peers is not None:
        await peers.begin()
    attempts = await _own(batch, options, context)
    # Read after the take-over, which compares the ledger with the runs of the account.
    backlog = read_backlog(batch, options, attempts, tracker)
    scheduler = make_scheduler(
        batch, backlog, options, finder=finder, observer=observer, peers=peers
    )
    if backlog.waiting:
        limits = backlog.usage.limits
        await batch.ledger.set_limits(limits.max_runs, limits.max_memory_mbytes)
    live = LiveSource(tracker=tracker, scheduler=scheduler, utc_now=options.utc_now)
    LOG.info(
        "batch_started",
        jobs=tracker.total,
        waiting=len(backlog.queue),
        max_runs=backlog.usage.limits.max_runs,
    )
    async with anyio.create_task_group() as tasks:

        def stop(signal: Interrupted) -> None:
            # The process leaves within seconds, also where the server of the ledger is away.
            batch.ledger.leave()
            scheduler.stop(signal)

        await tasks.start(listen, signals.listening, stop, name="signals")
        _start_side_tasks(tasks, batch, options, context, live, is_first=joined.is_first)
        if peers is not None:
            tasks.start_soon(peers.watch, name="peers")
        stopped = await _run(scheduler, attempts, options)
        tasks.cancel_scope.cancel()
    if stopped is None and options.is_aborting and batch.reader.has_work():
        return BatchAborted("aborted, with jobs left to start")
    if stopped is None and options.adds_jobs and peers is None:
        return _forgotten(batch)
    return stopped


def _forgotten(batch: OpenBatch) -> StoppedEarly | None:
    """The last defence against a silent loss: a mistake in the scheduler leaves jobs waiting."""
    left = batch.reader.jobs_by_status().get(JobStatus.WAITING, 0)
    if not left:
        return None
    return StoppedEarly(
        f"{left:,} jobs were not started, and nothing prevents it: this is a bug, please report it"
    )


async def _run(
    scheduler: Scheduler, attempts: Sequence[Attempt], options: SchedulerOptions
) -> OrchestratorError | None:
    """Runs a scheduler with the open attempts of an earlier process; returns why it stopped."""
    try:
        await scheduler.run((one, queued_attempt(one, options.room)) for one in attempts)
    except (StoppedEarly, Interrupted, PlatformError, *NOT_OURS) as reason:
        return reason
    return None


async def _own(batch: OpenBatch, options: SchedulerOptions, context: BatchContext) -> list[Attempt]:
    """Makes this process the owner of the batch; returns its open attempts."""
    ledger, room = batch.ledger, options.room
    attempts = await (ledger.take_over() if options.shard is None else take_left(batch, options))
    await ledger.set_costs_settle_secs(options.settings.costs_settle_secs)
    if room.keeps_days is not None:
        await ledger.set_keeps_days(room.keeps_days)
    if not (options.is_aborting or context.force):
        reused = await reuse_results(ledger, batch.folder, utc_now(), shard=options.shard)
        if context.watcher is not None:
            context.watcher.jobs_settled(reused)
    await _learn_clock(batch.client, attempts)
    return attempts


def _start_side_tasks(
    tasks: TaskGroup,
    batch: OpenBatch,
    options: SchedulerOptions,
    context: BatchContext,
    live: LiveSource,
    *,
    is_first: bool,
) -> None:
    """Starts the tasks beside the scheduler: the display, the limits, the record of progress."""
    scheduler = live.scheduler
    tasks.start_soon(context.display.show, batch.folder, live.progress, name="display")
    tasks.start_soon(record_progress, batch, live, name="progress")
    tasks.start_soon(watch_clock, name="clock")
    tasks.start_soon(keep_first_log_ends, batch, live.failures, name="failure-logs")
    if context.metrics is not None:
        own = batch.ledger.batch
        keep_metrics = partial(context.metrics.keep, batch.folder, own, live, batch.client.stats)
        tasks.start_soon(keep_metrics, name="metrics")
    if context.announcer is not None:
        start = partial(context.announcer.start, is_first=is_first)
        tasks.start_soon(start, batch.folder, batch.ledger.batch, name="ping-start")
    if context.leave_at is not None:
        tasks.start_soon(_leave_at, context.leave_at, scheduler, name="next-occurrence")
    if not options.is_aborting:
        plan = batch.ledger.batch.plan
        keep = partial(keep_limits, batch.client, scheduler, plan, options.settings)
        tasks.start_soon(keep, name="limits")


async def _collect_shared(batch: OpenBatch, patience_secs: float) -> OrchestratorError | None:
    """Downloads the datasets that runs share; returns the error that prevents it."""
    try:
        await collect_shared(batch, patience_secs=patience_secs)
    except (StoppedEarly, PlatformError) as error:
        return error
    return None


async def _learn_clock(client: ApifyClient, attempts: Iterable[Attempt]) -> None:
    """Asks for the platform's time: runs that ended long ago then need no further wait."""
    ended = [attempt.run for attempt in attempts if attempt.ended_at is not None]
    if ended and ended[0] is not None and client.platform_now() is None:
        with suppress(PermanentError):
            await client.runs.get(ended[0].id)


async def _leave_at(instant: datetime, scheduler: Scheduler) -> None:
    """Stops the batch at an instant of the wall clock."""
    while (secs := (instant - wall_now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall clock
        await anyio.sleep(min(secs, CLOCK_EVERY_SECS))
    scheduler.stop(LeftForNextOccurrence())


async def _close(
    batch: OpenBatch,
    reason: OrchestratorError | None,
    *,
    owes_news: bool,
    is_idle: bool,
) -> tuple[Batch, Totals]:
    """
    Records how the batch ends.

    Returns:
        the batch with its figures, which no later step changes.
    """
    ledger = batch.ledger
    jobs = batch.reader.jobs_by_status()
    # Of a process that has closed the batch, and has died or was paused after that.
    kept_end = batch.reader.batch().ended_at
    if reason is not None:
        state, exit_code = BatchState.STOPPED, reason.exit_code
    else:
        is_whole = not (jobs.keys() - {JobStatus.SUCCEEDED} or batch.reader.lacks_rows())
        state, exit_code = BatchState.ENDED, int(not is_whole)
    try:
        await batch.sent.record()
        closed = await ledger.close(
            state,
            exit_code=exit_code,
            reason=reason,
            now=utc_now(),
            owes_news=owes_news,
            is_idle=is_idle and kept_end is None,
            kept_end=kept_end,
        )
    except StoppedEarly:
        if reason is None:
            raise
        # The disk is full: the ledger stays open, and resume accepts that.
        closed = replace(ledger.batch, exit_code=exit_code, stop_reason=str(reason))
    LOG.info(
        "batch_left",
        state=closed.state.value,
        exit_code=exit_code,
        reason=closed.stop_reason,
        jobs={status.value: count for status, count in jobs.items()},
    )
    return closed, batch.reader.totals()
