"""
Starts, resumes, completes or aborts one batch: first the preflight checks, then the scheduler.

The scheduler is imported after the checks: the import takes as long as the first answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import ANY_ROOM, Room, limits_of
from orchestrator.app.account.batch_account import check_account, refuse_other_account
from orchestrator.app.account.preflight import check_before_start
from orchestrator.app.batch_folders import LEDGER, Found, point_latest
from orchestrator.app.clock import utc_now
from orchestrator.app.outputs.object_store import check_remote
from orchestrator.app.publishing import publish
from orchestrator.app.setup.context import (
    ASKING_AWAY_SECS,
    BatchContext,
    Endpoint,
    client_options,
    logging_to,
)
from orchestrator.app.setup.environment_secrets import require_secrets
from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import (
    BatchHeld,
    OrchestratorError,
    PermanentError,
    PlatformError,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader, open_ledger
from orchestrator.ledger.amendments import close_unstarted, set_account, set_waiting
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.lock import held_for
from orchestrator.ledger.records import BatchSnapshot
from orchestrator.ledger.statistics import Totals
from orchestrator.ledger.store import BatchMade, LeaseLost
from orchestrator.model.batches import LOCAL, Batch, BatchState
from orchestrator.model.jobs import Job, demand_of
from orchestrator.platform_address import root_of

EARLIER_SECS = 10.0
"""How long the update of earlier batches may continue after the batch has ended."""

RETRY_SECS = 10.0
"""The pause between two preflight checks of a platform that is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    How this process left a batch.

    Attributes:
        reason: why it stopped early; None when every job is settled.
        live_runs: how many runs continue at the platform.
        warnings: about earlier batches, for people.
        is_news: whether its end may have to be announced.
        closer: the name of this process in the ledger, if it has closed a shared batch.
    """

    folder: Path
    batch: Batch
    totals: Totals
    reason: OrchestratorError | None
    live_runs: int = 0
    warnings: Sequence[str] = ()
    is_news: bool = True
    closer: str | None = None


Objection = Callable[[Batch, Found], BatchHeld | None]
"""Says why a new batch must not begin beside an existing one; None if it may."""


async def start_prepared(prepared: Path, context: BatchContext, objection: Objection) -> Result:
    """
    Checks the platform, then gives a prepared batch its name and runs it.

    Under `context.waits_for_platform`, a batch that cannot begin because the platform is away or
    refuses the token is published as interrupted.

    Raises:
        UsageError, PlatformError, BatchHeld: nothing was started, and the batch is not published.
    """
    with LedgerReader(prepared / LEDGER) as reader:
        opened = reader.snapshot()
    batch = opened.batch
    async with context.connect(batch.plan.local) as endpoint:
        try:
            room = await _preflight(
                opened, endpoint, context, refuses_missing=not context.waits_for_platform
            )
        except PlatformError as error:
            if not context.waits_for_platform:
                raise
            return await publish_interrupted(prepared, batch, error)
        await check_remote(prepared, batch)
        batch = set_account(prepared / LEDGER, platform_of(endpoint, batch), room.account)
        serves = None if context.shard is None else batch.series.serves(batch.occurrence)
        folder = await publish(prepared, batch, partial(objection, batch), serves)
        # Nothing is awaited from here until `drive` listens: a signal that comes meanwhile is heard
        # by `drive`, which writes into the ledger why the batch ends.
        return await _drive_new(folder, endpoint, room, context)


async def _drive_new(folder: Path, endpoint: Endpoint, room: Room, context: BatchContext) -> Result:
    """Runs a new batch, and updates the earlier batches of its name meanwhile."""
    warnings: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_update_earlier, folder, endpoint, context, warnings, name="earlier")
        result = await _drive(folder, endpoint, room, context, is_new=True)
        # A short batch does not wait long for other batches.
        tasks.cancel_scope.deadline = anyio.current_time() + (
            EARLIER_SECS if result.reason is None else 0.0
        )
    return replace(result, warnings=warnings)


async def _update_earlier(
    folder: Path, endpoint: Endpoint, context: BatchContext, warnings: list[str]
) -> None:
    # Imported in the task, when signals are listened to already.
    from orchestrator.app.history.earlier_batches import update_earlier

    await update_earlier(folder, endpoint, context, warnings)


async def publish_interrupted(prepared: Path, batch: Batch, reason: OrchestratorError) -> Result:
    """Publishes a prepared batch as interrupted: nothing of it was started."""
    close_unstarted(prepared / LEDGER, reason, utc_now())
    folder = await publish(prepared, batch, lambda _: None)
    return replace(result_of(folder), reason=reason)


def result_of(folder: Path) -> Result:
    """The present state of a batch."""
    with LedgerReader(folder / LEDGER) as reader:
        return Result(folder=folder, batch=reader.batch(), totals=reader.totals(), reason=None)


async def resume_batch(
    folder: Path, context: BatchContext, *, retried: Sequence[Job] = ()
) -> Result:
    """
    Resumes a batch whose lock the caller holds; one that has ended is only completed.

    Args:
        retried: settled jobs that run once more.

    Raises:
        UsageError, PlatformError: nothing was started, and no job has changed.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        opened = reader.snapshot()
        require_secrets(reader.rendered_late(), os.environ)
    batch = opened.batch
    if retried:
        asked = {demand_of(job): job.key for job in retried}
        opened = replace(opened, has_work=True, demands={**asked, **opened.demands})
    point_latest(folder, batch.name)
    if batch.state is BatchState.ENDED and not opened.has_work and context.shard is None:
        return await complete_batch(folder, context)
    async with context.connect(batch.plan.local) as endpoint:
        room = await _preflight(opened, endpoint, context, refuses_missing=False)
        _check_account(folder, batch, endpoint, room)
        # Only now: of a call that cannot begin, the jobs keep their status and their reason.
        if retried:
            set_waiting(folder / LEDGER, [job.seq for job in retried])
        return await _drive(folder, endpoint, room, context)


async def complete_batch(folder: Path, context: BatchContext) -> Result:
    """Makes what a batch lacks besides runs: merged results, reports, upload; starts nothing."""
    from orchestrator.app.batch.execution import complete

    batch = read_batch(folder / LEDGER)
    # A batch that is complete and was announced is no news, whoever looks at it again.
    is_news = batch.completed_at is None or batch.owes_news
    if batch.completed_at is None:
        batch = await complete(folder, batch, context.sink)
        await _prune(folder, batch, context)
    return replace(result_of(folder), batch=batch, is_news=is_news)


async def follow_batch(folder: Path, context: BatchContext) -> Result:
    """
    Follows and collects the runs of a batch that the caller has just made, and whose lock it holds.

    No job may wait for a start, because the limits of the account are not read.

    Raises:
        PlatformError: the platform cannot be reached.
    """
    batch = read_batch(folder / LEDGER)
    async with context.connect(batch.plan.local) as endpoint:
        return await _drive(folder, endpoint, ANY_ROOM, context, is_new=True, follows=True)


async def abort_batch(folder: Path, context: BatchContext) -> Result:
    """
    Aborts the live runs of a batch whose lock the caller holds, and keeps their results.

    Waiting jobs stay waiting: the batch can be resumed. A batch that is done, and has no live runs,
    does not change.

    Raises:
        UsageError: the token belongs to another account.
        PlatformError: the platform cannot be reached.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        opened = reader.snapshot()
    batch = opened.batch
    if batch.is_done and not opened.has_open_attempts:
        return result_of(folder)
    await check_account(folder, batch, context)
    async with context.connect(batch.plan.local) as endpoint:
        return await _drive(folder, endpoint, ANY_ROOM, context, aborting=True)


def platform_of(endpoint: Endpoint, batch: Batch) -> str:
    """The name of a platform in a series."""
    return LOCAL if batch.plan.local is not None else root_of(endpoint.base_url)


def is_live(found: Found) -> bool:
    """Whether a process runs a batch, or resumes it."""
    return held_for(found.folder) in ("", "run", "resume")


def refuse_live_series(batch: Batch, found: Found) -> BatchHeld | None:
    """A new batch must wait for a live one of the same series."""
    if not (batch.series.agrees(found.batch.series) and is_live(found)):
        return None
    return BatchHeld(
        f"{found.folder}: another process runs this batch of the same series; wait until it ends, "
        "or start a second one beside it with --concurrent"
    )


def refuse_second(batch: Batch, found: Found, seen: Collection[Path]) -> BatchHeld | None:
    """
    An occurrence gets no second batch because of a call that did not know of the first one.

    Args:
        seen: the batches that the call knew when it decided to make one.
    """
    one = found.batch
    is_same = batch.series.agrees(one.series) and batch.occurrence == one.occurrence
    if not is_same or (found.folder in seen and not is_live(found)):
        return None
    return BatchMade(f"{found.folder}: another call has made the batch of this occurrence")


def _check_account(folder: Path, batch: Batch, endpoint: Endpoint, room: Room) -> None:
    """Refuses the token of another account, which does not show the runs of this batch."""
    if batch.account is None or room.account is None:
        if batch.platform is None or room.account is not None:
            set_account(folder / LEDGER, platform_of(endpoint, batch), room.account)
    elif batch.plan.local is None:
        refuse_other_account(folder, batch, room.account)


async def _preflight(
    opened: BatchSnapshot, endpoint: Endpoint, context: BatchContext, *, refuses_missing: bool
) -> Room:
    plan = opened.batch.plan
    options = client_options(endpoint, context.settings, context.timings)
    has_budget = plan.max_cost_usd is not None
    patience = context.settings.platform_away_secs if context.waits_for_platform else 0.0
    until = anyio.current_time() + patience
    async with ApifyClient(replace(options, away_secs=ASKING_AWAY_SECS)) as client:
        while True:
            try:
                room = await check_before_start(
                    client,
                    opened.demands,
                    has_budget=has_budget,
                    refuses_missing=refuses_missing,
                    has_runs=opened.has_open_attempts,
                )
                break
            except PlatformError as error:
                left = until - anyio.current_time()
                if isinstance(error, PermanentError) or left <= 0:
                    raise
                LOG.warning("platform_not_reached", error=str(error), waiting_secs=round(left))
            await anyio.sleep(min(RETRY_SECS, left))
    limits_of(plan, room, opened.demands, context.settings)
    return room


async def _drive(
    folder: Path,
    endpoint: Endpoint,
    room: Room,
    context: BatchContext,
    *,
    aborting: bool = False,
    is_new: bool = False,
    follows: bool = False,
) -> Result:
    from orchestrator.app.batch.execution import drive

    signals = StopRequest()
    drive_on = partial(
        drive, folder, endpoint, room, context, signals=signals, aborting=aborting, follows=follows
    )
    with context.listening(signals.make):
        while True:
            try:
                ending = await drive_on(is_new=is_new)
                break
            except LeaseLost as error:
                # This process was paused for too long. It joins the batch again, as a new one.
                LOG.warning("lease_lost", error=str(error))
                is_new = False
    if not aborting and ending.is_closed_here:
        await _prune(folder, ending.batch, context)
    return Result(
        folder=folder,
        batch=ending.batch,
        totals=ending.totals,
        reason=ending.reason,
        live_runs=ending.live_runs,
        is_news=ending.is_closed_here,
        closer=ending.closer,
    )


async def _prune(folder: Path, batch: Batch, context: BatchContext) -> None:
    """Removes the earlier batches that `[retention]` does not keep, if this batch has ended."""
    if batch.plan.retention is None:
        return
    from orchestrator.app.history.prune import prune_series

    with logging_to(folder, context.sink):
        await to_thread.run_sync(prune_series, folder, batch, utc_now())
