"""
Runs or resumes one batch: looks before the start, drives the scheduler, writes the reports.
"""

from __future__ import annotations

from contextlib import (
    suppress,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import structlog

from orchestrator.app.assembly import (
    fill_queue,
    in_place,
    make_scheduler,
    progress_of,
    usage_of,
    utc_now,
)
from orchestrator.app.context import (
    BatchContext,
    Endpoint,
    client_options,
    connected,
    logging_to,
)
from orchestrator.app.costs import update_costs
from orchestrator.app.events import BatchEvents
from orchestrator.app.finishing import write_reports
from orchestrator.app.folders import LEDGER, mend_latest, publish
from orchestrator.app.history import expected_durations
from orchestrator.app.preflight import keep_limits, look_before_start
from orchestrator.app.room import ANY_ROOM, Room, limits_of
from orchestrator.app.signals import listen
from orchestrator.client import ApifyClient
from orchestrator.collector import Files
from orchestrator.collector.files import flush_group
from orchestrator.errors import (
    BatchAborted,
    Interrupted,
    OrchestratorError,
    PlatformError,
    StoppedEarly,
)
from orchestrator.ledger import Ledger, LedgerReader, open_ledger
from orchestrator.ledger.ledger import commit_group
from orchestrator.ledger.reading import Totals
from orchestrator.model.batches import Batch, BatchState, Wait
from orchestrator.model.ids import RunId
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.loop import Scheduler
from orchestrator.threads import GroupWorker

PREFLIGHT_AWAY_SECS = 12.0
"""
How long a platform that is away is waited for before anything was started.
"""

ABORT_SECS = 8.0
WAITS_EVERY_SECS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    How this process left a batch.

    Attributes:
        reason: why it was left early; None when every job is settled.
    """

    folder: Path
    batch: Batch
    totals: Totals
    reason: OrchestratorError | None


async def start_prepared(prepared: Path, context: BatchContext) -> Result:
    """
    Looks at the platform, then gives a prepared batch its name and runs it.

    Raises:
        UsageError, PlatformError: nothing was started, and the batch is not published.
    """
    with LedgerReader(prepared / LEDGER) as reader:
        batch = reader.batch()
    async with connected(batch, context) as endpoint:
        room = await _look(prepared, endpoint, context)
        return await _drive(publish(prepared, batch.id), endpoint, room, context)


async def resume_batch(folder: Path, context: BatchContext) -> Result:
    """
    Goes on with a batch that this process holds the lock of.

    Raises:
        UsageError, PlatformError: nothing was started.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    mend_latest(folder, batch.name)
    async with connected(batch, context) as endpoint:
        room = await _look(folder, endpoint, context)
        return await _drive(folder, endpoint, room, context)


async def abort_batch(folder: Path, context: BatchContext) -> Result:
    """
    Aborts the live runs of a batch that this process holds the lock of, and keeps what they made.

    Jobs that wait are left waiting: the batch can be resumed.

    Raises:
        PlatformError: the platform cannot be reached.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    async with connected(batch, context) as endpoint:
        return await _drive(folder, endpoint, ANY_ROOM, context, aborting=True)


async def _look(folder: Path, endpoint: Endpoint, context: BatchContext) -> Room:
    with LedgerReader(folder / LEDGER) as reader:
        batch, demands = reader.batch(), reader.demands()
    options = client_options(endpoint, context.settings)
    async with ApifyClient(replace(options, away_secs=PREFLIGHT_AWAY_SECS)) as client:
        has_budget = batch.plan.max_cost_usd is not None
        room = await look_before_start(client, demands, has_budget=has_budget)
    limits_of(batch.plan, room, demands, context.settings)
    return room


async def _drive(
    folder: Path, endpoint: Endpoint, room: Room, context: BatchContext, *, aborting: bool = False
) -> Result:
    with logging_to(folder, context.sink):
        with open_ledger(folder / LEDGER) as db:
            async with (
                GroupWorker("ledger", partial(commit_group, db)) as ledger_worker,
                GroupWorker("files", flush_group) as file_worker,
                ApifyClient(client_options(endpoint, context.settings)) as client,
            ):
                ledger = Ledger(db, ledger_worker)
                files = Files(file_worker)
                reason = await _schedule(
                    ledger, client, files, folder, room, context, aborting=aborting
                )
                if context.abort_on_signal and isinstance(reason, Interrupted):
                    await _abort_live_runs(ledger, client)
                batch = await _close(ledger, client, folder, reason)
        with LedgerReader(folder / LEDGER) as reader:
            totals = reader.totals()
            # On a full disk the figures are still told, and the files can be made again later.
            with suppress(*((StoppedEarly,) if reason else ())):
                write_reports(folder, batch, reader, totals)
    return Result(folder=folder, batch=batch, totals=totals, reason=reason)


async def _schedule(
    ledger: Ledger,
    client: ApifyClient,
    files: Files,
    folder: Path,
    room: Room,
    context: BatchContext,
    *,
    aborting: bool,
) -> OrchestratorError | None:
    """
    Drives the batch until it is settled or left; returns why it was left.
    """
    open_attempts = await ledger.take_over()
    waiting = await ledger.waiting()
    plan = ledger.batch.plan
    if plan.max_cost_usd is not None:
        await update_costs(ledger, client)
    with LedgerReader(folder / LEDGER) as reader:
        progress = progress_of(reader.totals(), open_attempts)
        demands = {} if aborting else reader.demands()
        costs = list(reader.run_costs()) if plan.max_cost_usd is not None else []
        strays_usd = reader.stray_costs()
        expected = {} if aborting else expected_durations(folder, reader)
    limits = limits_of(plan, room, demands, context.settings)
    usage = usage_of(limits, costs, strays_usd, room)
    queue = fill_queue([] if aborting else waiting, room, expected)
    scheduler = make_scheduler(
        ledger=ledger,
        client=client,
        files=files,
        folder=folder,
        settings=context.settings,
        queue=queue,
        usage=usage,
        room=room,
        observer=BatchEvents(progress),
        claimed=await ledger.runs(),
        given_up=await ledger.given_up(),
        jobs_left=len(waiting) + len(open_attempts),
        aborting="`orchestrator abort` was called" if aborting else None,
    )
    structlog.get_logger().info(
        "batch_started", jobs=progress.total, waiting=len(queue), max_runs=limits.max_runs
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(listen, scheduler.stop, name="signals")
        tasks.start_soon(context.display.show, progress, scheduler.waits_for, name="display")
        if not aborting:
            keep = partial(keep_limits, client, scheduler, plan, context.settings)
            tasks.start_soon(keep, name="limits")
            tasks.start_soon(_tell_waits, ledger, scheduler, name="waits")
        try:
            await scheduler.run((attempt, in_place(attempt, room)) for attempt in open_attempts)
        except (StoppedEarly, Interrupted, PlatformError) as reason:
            return reason
        finally:
            tasks.cancel_scope.cancel()
    return BatchAborted("aborted, with jobs left to start") if aborting and waiting else None


async def _tell_waits(ledger: Ledger, scheduler: Scheduler) -> None:
    """
    Keeps in the ledger why jobs wait, for `status --why`; until cancelled.
    """
    told: list[Wait] = []
    while True:
        waits = scheduler.waits()
        if waits != told:
            # A full disk stops the batch where it matters more.
            with suppress(StoppedEarly):
                await ledger.waits(waits)
            told = waits
        await anyio.sleep(WAITS_EVERY_SECS)


async def _abort_live_runs(ledger: Ledger, client: ApifyClient) -> None:
    """
    Aborts what the ledger knows to be going, within the time that a signal leaves.
    """
    log = structlog.get_logger()

    async def abort(run_id: RunId) -> None:
        try:
            await client.abort_run(run_id)
        except PlatformError as error:
            log.warning("run_not_aborted", run=run_id, error=str(error))
        else:
            log.info("run_aborted", run=run_id)

    with anyio.move_on_after(ABORT_SECS):
        async with anyio.create_task_group() as aborts:
            for run_id in await ledger.live_runs():
                aborts.start_soon(abort, run_id, name=f"abort {run_id}")


async def _close(
    ledger: Ledger, client: ApifyClient, folder: Path, reason: OrchestratorError | None
) -> Batch:
    with LedgerReader(folder / LEDGER) as reader:
        jobs = reader.totals().jobs
    if reason is not None:
        state, exit_code = BatchState.STOPPED, reason.exit_code
    else:
        state, exit_code = BatchState.ENDED, int(set(jobs) != {JobStatus.SUCCEEDED})
    try:
        await ledger.add_requests(client.stats.requests, client.stats.retries)
        batch = await ledger.close(
            state,
            exit_code=exit_code,
            reason=None if reason is None else str(reason),
            now=utc_now(),
        )
    except StoppedEarly:
        if reason is None:
            raise
        # The disk is full: the ledger stays open, which resume takes as it is.
        batch = replace(ledger.batch, exit_code=exit_code, stop_reason=str(reason))
    structlog.get_logger().info(
        "batch_left",
        state=batch.state.value,
        exit_code=exit_code,
        reason=batch.stop_reason,
        jobs={status.value: count for status, count in jobs.items()},
    )
    return batch
