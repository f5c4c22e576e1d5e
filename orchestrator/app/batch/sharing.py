"""How a process joins a batch that several work on, and how they end it together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from orchestrator.app.batch.assembly import SchedulerOptions
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.queued_jobs import queued_attempt, queued_jobs
from orchestrator.app.setup.interruption import interruptible
from orchestrator.app.setup.settings import Settings
from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import (
    BatchHeld,
    DiskFull,
    Interrupted,
    LedgerAway,
    OrchestratorError,
    OutputLost,
    StoppedEarly,
    TooManyOpenFiles,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import Ledger
from orchestrator.ledger.records import WaitingJob
from orchestrator.ledger.shard_facts import News
from orchestrator.ledger.store import PAUSED_SECS, LeaseLost, Store
from orchestrator.model.attempts import Attempt
from orchestrator.model.jobs import demand_of
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.peers import PeerParts, Peers
from orchestrator.scheduler.shared_scheduler import halt_of
from orchestrator.scheduler.start_request import StartPolicy
from orchestrator.scheduler.timings import Timings

BEATS_IN_A_LEASE = 8
PAUSES_IN_A_LEASE = 4
STUCK_RESERVE_SECS = 5.0
OF_ONE_PROCESS = (Interrupted, DiskFull, TooManyOpenFiles, OutputLost)
"""Why one process stops, and the others need not."""


def lease_secs(settings: Settings) -> float:
    """
    How long a process keeps its attempts without a sign of life.

    A start is sent only if the lease lasts until its run is in the lists, so that another process
    finds it there.
    """
    policy = StartPolicy(
        start_deadline_secs=settings.start_deadline_secs, settle_secs=settings.settle_secs
    )
    return 1.5 * policy.needed_lease_secs


def ask_lease(db: Store, settings: Settings) -> None:
    """
    Asks for the lease of a process.

    While it waits for another one that is paused, it cannot renew its own, which must outlast that.
    """
    secs = lease_secs(settings)
    db.lease(secs, min(PAUSED_SECS, secs / PAUSES_IN_A_LEASE))


def beat_secs(settings: Settings, timings: Timings) -> float:
    """How often a process asks what the others have done."""
    return min(timings.beat_secs, lease_secs(settings) / BEATS_IN_A_LEASE)


def make_peers(batch: OpenBatch, options: SchedulerOptions) -> Peers:
    """The other processes that work on a batch."""
    room, shard = options.room, options.shard
    beat = beat_secs(options.settings, options.timings)

    def queued_of(job: WaitingJob) -> QueuedJob:
        platform_now = batch.client.platform_now()
        (queued,) = queued_jobs([job], room, platform_now=platform_now, shard=shard)
        return queued

    assert shard is not None  # noqa: S101 - the caller's
    return Peers(
        PeerParts(
            ledger=batch.ledger,
            client=batch.client,
            utc_now=options.utc_now,
            queued_of=queued_of,
            queued_attempt=lambda attempt: queued_attempt(attempt, room),
            chance=options.chance,
            beat_secs=beat,
            timings=options.timings,
            # The cost of the last run is final by then, and each process has seen that.
            stuck_secs=options.settings.costs_settle_secs + STUCK_RESERVE_SECS + 2 * beat,
            source_secs=lease_secs(options.settings),
        )
    )


async def take_left(batch: OpenBatch, options: SchedulerOptions) -> list[Attempt]:
    """Takes the attempts of processes that have died, and returns them."""
    attempts = await batch.ledger.steal()
    for attempt in attempts:
        claim = options.room.claim_of(demand_of(attempt.job), attempt.remedy)
        seq, number = attempt.job.seq, attempt.number
        await batch.ledger.set_claim(seq, number, claim.memory_mbytes, claim.pools)
    return attempts


@asynccontextmanager
async def kept_lease(ledger: Ledger, settings: Settings, timings: Timings) -> AsyncIterator[None]:
    """
    Keeps the lease of the process that closes a batch, so that no other one does, too.

    Raises:
        LeaseLost: this process was paused, and another one closes the batch; leaves the block.
    """
    errors: list[OrchestratorError] = []

    async def renew() -> None:
        try:
            while True:
                await ledger.check_owner()
                await anyio.sleep(beat_secs(settings, timings))
        except BatchHeld as error:
            errors.append(error)
            tasks.cancel_scope.cancel()
        except LedgerAway as error:
            LOG.warning("lease_lost", error=str(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(renew, name="lease")
        try:
            yield
        except OrchestratorError as error:
            # The group would wrap it.
            errors.append(error)
        tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]


async def await_end(
    batch: OpenBatch,
    reason: OrchestratorError | None,
    signals: StopRequest,
    settings: Settings,
    timings: Timings,
) -> tuple[bool, OrchestratorError | None]:
    """
    Waits until the batch is this process's to close, or another one has closed it.

    After a signal, this process leaves the batch to the others at once.

    Args:
        reason: why this process has stopped; None when all jobs are settled.

    Returns:
        whether this process closes it, and why the batch stopped early.

    Raises:
        LeaseLost: no other process is left, and its work is: this one has to join the batch again.
    """
    pause_secs = beat_secs(settings, timings)
    try:
        return await interruptible(signals.listening, _await_end, batch, reason, pause_secs)
    except Interrupted as signal:
        return await _await_end(batch, signal, pause_secs)


async def _await_end(
    batch: OpenBatch, reason: OrchestratorError | None, pause_secs: float
) -> tuple[bool, OrchestratorError | None]:
    ledger = batch.ledger
    if isinstance(reason, OF_ONE_PROCESS) or not isinstance(reason, StoppedEarly | None):
        # The others continue, and take its attempts: this one is not needed for the end.
        await ledger.leave_batch()
        return False, reason
    if reason is not None:
        # Recorded here, too: it may have had nothing left to wait for when it stopped.
        await ledger.halt(type(reason).__name__, str(reason))
    while True:
        is_ours = await ledger.seek_end()
        news = await ledger.news(0)
        if news.halt_kind is not None:
            # As in a process that works alone: a halt that left no job out has changed nothing.
            has_effect = news.has_work or JobStatus.ABORTED in batch.reader.jobs_by_status()
            reason = halt_of(news.halt_kind, news.halt_reason or "") if has_effect else None
        if news.is_complete and not is_ours:
            return False, reason
        if is_ours and await _has_left_work(ledger, news, reason):
            await ledger.leave_batch()
            raise LeaseLost(f"{batch.folder}: a process that had work left has died")
        if is_ours:
            return True, reason
        await anyio.sleep(pause_secs)


async def _has_left_work(ledger: Ledger, news: News, reason: OrchestratorError | None) -> bool:
    """Whether a process that has died left work that this one must do before it may close."""
    if await ledger.has_left_attempts():
        return True
    # It has made jobs of items that this process could not read.
    return reason is None and news.has_work and not news.is_closed
