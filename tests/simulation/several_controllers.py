"""One simulated night of several processes: they join late, die, sleep and lose the server."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.app.account.account_limits import ANY_ROOM
from orchestrator.app.batch import sharing
from orchestrator.app.batch.assembly import Backlog, SchedulerOptions, make_scheduler
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.queued_jobs import queue_of, queued_attempt, queued_jobs
from orchestrator.app.batch.sent_requests import SentRequests
from orchestrator.app.batch.spending import usage_now
from orchestrator.app.batch.takeover import make_finder, take_over
from orchestrator.app.setup.settings import Settings
from orchestrator.app.setup.stop_request import StopRequest
from orchestrator.errors import BatchAborted, OrchestratorError
from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, LedgerReader, create_ledger, location, stores
from orchestrator.ledger.amendments import halt_shards
from orchestrator.ledger.postgres import ledger_session
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.ledger.store import LeaseLost
from orchestrator.ledger.transactions import commit_group
from orchestrator.model.batches import BatchState
from orchestrator.model.jobs import Job
from orchestrator.model.shard import Shard
from orchestrator.scheduler.decide.limits import Limits
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.timings import Timings
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from tests.simulation.conditions import EPOCH, ROOM_USD, Conditions, conditions_of
from tests.simulation.held_process import HeldLife, HeldTransport, HeldWorker
from tests.simulation.mortal_process import Killed
from tests.simulation.platform import SimPlatform
from tests.simulation.shared_ledger import CLOCKS, new_ledger, opened, session_of
from tests.simulation.simulated_batch import (
    LONGEST_SECS,
    NO_PRICES,
    SETTLE_SECS,
    SMALL,
    Silent,
    check_job,
    costs_of,
    random_job,
    usual_settings,
)
from tests.simulation.simulated_run import Allowed
from tests.support.builders import make_batch
from tests.support.virtual_time import run_virtual

JOBS = 6
MOST_CONTROLLERS = 3
ALLOWED = Allowed(runs=3, memory_mbytes=4096)
SLOW = Timings(beat_secs=6.0, full_secs=3.0, lack_of_money_secs=6.0)
"""Several times as long as in a real process, so that many nights can be played."""
HOLDS_SECS = (20.0, 90.0, 200.0, 200.0)
"""How long a process is stopped or cut off; a lease lasts 114 s."""


@dataclass
class Night:
    """
    What the processes of one simulation share.

    Attributes:
        stops_after: when somebody aborts the batch, in seconds; None for never.
        closings: how often a process has closed the batch to its end.
        closed_at: when that was for the first time.
    """

    folder: Path
    platform: SimPlatform
    chance: random.Random
    jobs: Sequence[Job]
    stops_after: float | None = None
    closings: int = 0
    closed_at: float | None = None
    is_begun: bool = False
    lives: list[HeldLife] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The name by which the ledger is opened."""
        return self.folder / "ledger.sqlite"

    @property
    def is_over(self) -> bool:
        """Whether the batch has been closed, and no process is needed any more."""
        return self.closings > 0

    @property
    def begins_more(self) -> bool:
        """Whether a further process may begin: also late, after somebody has stopped the batch."""
        return self.stops_after is not None or not self.is_over


def conditions_of_night(seed: int) -> Conditions:
    """Those of a simulation of one process, without what several cannot have."""
    return replace(conditions_of(seed), restores=False, has_rows=False)


def play_shared(
    seed: int,
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    on_server: bool = False,
    is_stopped: bool = False,
) -> SimPlatform:
    """
    Plays a night and checks all invariants; a failure names the invariant.

    Args:
        on_server: whether the ledger is at the server of the settings, and not in memory.
        is_stopped: whether somebody aborts the batch.
    """
    chance = random.Random(f"shared {seed}")  # noqa: S311 - to be repeatable
    is_like = conditions_of_night(seed)
    platform = SimPlatform(seed, conditions=is_like, allowed=ALLOWED)
    jobs = [random_job(seq, chance, is_like) for seq in range(JOBS)]
    if is_like.has_budget:
        platform.budget_usd = ROOM_USD + sum(map(costs_of, jobs))
    folder = folder / "nightly" / "batch"
    folder.mkdir(parents=True)
    with patch.context() as scope:
        kind = session_of(None if on_server else new_ledger())
        if not on_server:
            address = parse_address("postgresql://in.memory/night")
            scope.setattr(location, "_configured", replace(location._configured, address=address))
        scope.setattr(stores, "_session", opened(kind))
        scope.setattr(ledger_session, "time", CLOCKS)
        create_ledger(folder / "ledger.sqlite", replace(make_batch(), created_at=EPOCH), jobs)
        stops_after = chance.uniform(1, 90) if is_stopped else None
        night = Night(folder, platform, chance, jobs, stops_after)
        run_virtual(_all_controllers, night)
        _check_night(night)
        stores.discard(night.path)
    return platform


def _check_night(night: Night) -> None:
    platform = night.platform
    # Two, if the first one was stopped at its last step: the end is still announced once.
    platform.hold(night.closings >= 1, "a process closes the batch")
    platform.check_limits()
    assert not platform.violations, platform.violations
    if night.stops_after is not None:
        _check_stop(night)
        return
    with LedgerReader(night.path) as reader:
        for job, report in zip(night.jobs, reader.reports(), strict=True):
            check_job(night.folder, platform, job, report)


def _check_stop(night: Night) -> None:
    """Nothing is begun after the batch was closed, and nothing of it is left at the platform."""
    closed_at = night.closed_at
    assert closed_at is not None
    for run in night.platform.runs.values():
        last = run.lives[-1]
        assert last.begins <= closed_at, f"a stopped batch stays stopped: {run.mark} begins later"
        assert last.ends <= closed_at, f"a stopped batch leaves no run: {run.mark} is live"


async def _stop(night: Night) -> None:
    """Somebody aborts the batch, unless it has ended by then."""
    assert night.stops_after is not None
    await anyio.sleep(night.stops_after)
    if not night.is_over:
        halt_shards(night.path, BatchAborted("aborted"))


async def _all_controllers(night: Night) -> None:
    of = night.chance.randint(2, MOST_CONTROLLERS)
    with anyio.move_on_after(LONGEST_SECS) as scope:
        async with anyio.create_task_group() as group:
            for number in range(1, of + 1):
                # Some say that there are more or fewer shards than there are.
                said = max(number, of + night.chance.choice([-1, 0, 0, 1]))
                group.start_soon(_machine, night, Shard(number=number, of=said))
            if night.stops_after is not None:
                group.start_soon(_stop, night)
    night.platform.hold(not scope.cancelled_caught, "no wait is too long")


async def _machine(night: Night, shard: Shard) -> None:
    """Starts a process, and another one whenever it dies, until the batch is closed."""
    chance = night.chance
    await anyio.sleep(0 if shard.number == 1 else chance.choice([0.0, 0.1, 5.0, 60.0]))
    for _ in range(chance.choice([0, 1, 1, 2])):
        if not night.begins_more:
            return
        life = HeldLife(chance.randrange(1, 200) if chance.random() < 0.4 else None)
        if not await _has_died(night, shard, life):
            return
        await anyio.sleep(chance.uniform(0, 60))
    if night.begins_more:
        await _shard(night, shard, HeldLife())


async def _has_died(night: Night, shard: Shard, life: HeldLife) -> bool:
    """Runs a process that may be stopped, cut off or killed; whether it died."""
    chance = night.chance
    with anyio.move_on_after(chance.uniform(5, 250) + plan_stop(life, chance)) as scope:
        try:
            await _shard(night, shard, life)
        except* Killed:
            life.is_over = True
    life.is_over = life.is_over or scope.cancelled_caught
    return life.is_over


def plan_stop(life: HeldLife, chance: random.Random) -> float:
    """Some processes are stopped for a while, or cut off from the server; how long that takes."""
    secs, begins = chance.choice(HOLDS_SECS), chance.uniform(0, 60)
    match chance.choice(["", "stopped", "cut off", "stopped after an intent"]):
        case "stopped after an intent":
            life.stops_secs, life.intents_left = secs, chance.randint(1, 3)
        case "stopped" | "cut off" as how:
            hold = partial(life.hold, secs, with_platform=how == "stopped")
            asyncio.get_running_loop().call_later(begins, hold)
        case _:
            return 0.0
    return begins + secs


async def _shard(night: Night, shard: Shard, life: HeldLife) -> None:
    """One process, which joins again as a new one when its lease is lost."""
    while True:
        try:
            return await _work(night, shard, life)
        except LeaseLost:
            pass


async def _work(night: Night, shard: Shard, life: HeldLife) -> None:
    settings = usual_settings()
    options = SchedulerOptions(
        settings=settings,
        room=replace(ANY_ROOM, prices=NO_PRICES if night.platform.conditions.has_budget else None),
        shard=shard,
        utc_now=night.platform.conditions.wall_clock,
        chance=night.chance.random,
        sizes=SMALL,
        timings=SLOW,
    )
    client_options = ClientOptions(base_url="https://sim.example", token=SecretStr("x" * 20))
    transport = HeldTransport(night.platform, life)
    with closing(stores.connect(night.path)) as db, LedgerReader(night.path) as reader:
        sharing.ask_lease(db, settings)
        worker = HeldWorker(life.around(partial(commit_group, db)), life)
        async with ApifyClient(client_options, transport=transport, rng=night.chance) as client:
            ledger = Ledger(db, worker)
            batch = OpenBatch(
                ledger=ledger,
                reader=reader,
                client=client,
                files=Files(InlineWorker(life.around(flush_group))),
                sent=SentRequests(client, ledger),
                folder=night.folder,
            )
            joined = await batch.ledger.join()
            reason = await _schedule(night, batch, options) if joined.is_open else None
            await _end(night, batch, reason, settings)


async def _schedule(
    night: Night, batch: OpenBatch, options: SchedulerOptions
) -> OrchestratorError | None:
    """As `execution._schedule`."""
    finder = make_finder(batch, options, Silent())  # type: ignore[arg-type] # it has every method there is
    if night.is_begun:
        await take_over(batch, options, finder)
    night.is_begun = True
    others = sharing.make_peers(batch, options)
    await others.begin()
    attempts = await sharing.take_left(batch, options)
    await batch.ledger.set_costs_settle_secs(SETTLE_SECS)
    scheduler = make_scheduler(
        batch,
        _backlog(night, batch, options),
        options,
        finder=finder,
        observer=Silent(),  # type: ignore[arg-type] # it has every method there is
        peers=others,
    )
    open_attempts = [(one, queued_attempt(one, options.room)) for one in attempts]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others.watch)
        reason = await _run(partial(scheduler.run, open_attempts), scheduler)
        tasks.cancel_scope.cancel()
    if isinstance(reason, LeaseLost):
        raise reason
    return reason


def _backlog(night: Night, batch: OpenBatch, options: SchedulerOptions) -> Backlog:
    is_like, allowed, reader = night.platform.conditions, night.platform.allowed, batch.reader
    budget = Decimal(str(round(night.platform.budget_usd, 6))) if is_like.has_budget else None
    limits = Limits(
        max_runs=allowed.runs,
        max_memory_mbytes=allowed.memory_mbytes,
        pools=is_like.pools,
        max_cost_usd=budget,
    )
    usage = usage_now(
        reader, limits, options.room, settle_secs=SETTLE_SECS, client=batch.client,
        utc_now=options.utc_now,
    )  # fmt: skip
    now = batch.client.platform_now()
    places = queued_jobs(reader.waiting(), options.room, platform_now=now, shard=options.shard)
    return Backlog(queue=queue_of(places), usage=usage)


async def _run(run: Callable, scheduler: Scheduler) -> OrchestratorError | None:
    try:
        await run()
    except OrchestratorError as reason:
        return reason
    return None


async def _end(
    night: Night, batch: OpenBatch, reason: OrchestratorError | None, settings: Settings
) -> None:
    """As `execution.drive` after the scheduler."""
    is_ours, reason = await sharing.await_end(batch, reason, StopRequest(), settings, SLOW)
    may_stop = night.stops_after is not None and isinstance(reason, BatchAborted)
    night.platform.hold(reason is None or may_stop, f"no process stops early: {reason!r}")
    if not is_ours:
        return
    now = night.platform.conditions.wall_clock()
    state = BatchState.ENDED if reason is None else BatchState.STOPPED
    exit_code = 0 if reason is None else reason.exit_code
    await batch.ledger.close(state, exit_code=exit_code, reason=reason, now=now)
    await batch.ledger.mark_complete(now)
    night.closings += 1
    night.closed_at = night.closed_at or anyio.current_time()


def history(platform: SimPlatform) -> str:
    """What the platform has seen of a night: which attempts had which runs, and when."""
    runs = [
        [run.job, run.attempt.rpartition(".")[2], [(life.begins, life.ends) for life in run.lives]]
        for run in platform.runs.values()
    ]
    return json.dumps(runs)
