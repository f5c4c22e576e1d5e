"""Builds a scheduler from an open batch and the settings."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from orchestrator.app.account.account_limits import Room, downloads_at_once
from orchestrator.app.batch.absent_results import AbsentResults
from orchestrator.app.batch.item_expander import ItemExpander
from orchestrator.app.batch.needed_results import KnownKeys, read_needed
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.run_inputs import read_input
from orchestrator.app.clock import utc_now
from orchestrator.app.setup.settings import Settings
from orchestrator.collector.acceptance import Acceptance
from orchestrator.collector.collect import Collector
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.shard import Shard
from orchestrator.scheduler.decide.dependencies import Dependencies
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.start_gate import Gate
from orchestrator.scheduler.decide.stops import FailureCount, StopRules
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.follow import Follower
from orchestrator.scheduler.intents import Intents
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.parts import Expands, NoExpander, Parts
from orchestrator.scheduler.peers import Peers
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.shared_scheduler import SharedScheduler
from orchestrator.scheduler.start import Starter
from orchestrator.scheduler.start_request import StartParts, StartPolicy
from orchestrator.scheduler.timings import TIMINGS, Timings
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """
    The options of a scheduler.

    Attributes:
        room: what the account allows.
        shard: which of several processes this one is; None if it works alone.
        aborting: why live runs are aborted and no run is started; None if they are not.
        adds_jobs: whether jobs are made of the items of other jobs.
        reuses: whether these may take the results of earlier batches.
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
        sizes: of downloads.
    """

    settings: Settings
    room: Room
    aborting: str | None = None
    adds_jobs: bool = True
    reuses: bool = True
    shard: Shard | None = None
    timings: Timings = TIMINGS
    utc_now: Callable[[], datetime] = utc_now
    chance: Callable[[], float] = random.random
    sizes: TransferSizes = USUAL_SIZES

    @property
    def is_aborting(self) -> bool:
        """Whether live runs are aborted and no run is started."""
        return self.aborting is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """
    The unfinished work and its limits; see `backlog.read_backlog`.

    Attributes:
        usage: of the batch's limits, before the first start of this process.
        dependencies: the jobs that wait for others.
        usual_items: the usual number of items of jobs, by their places in the spec.
        waiting: how many jobs wait for an attempt, including those that wait for other jobs.
        unsettled: how many jobs are not settled.
    """

    queue: JobQueue
    usage: Usage
    dependencies: Dependencies = field(default_factory=Dependencies)
    usual_items: Mapping[int, float] = field(default_factory=dict)
    waiting: int = 0
    unsettled: int = 0


def make_scheduler(
    batch: OpenBatch,
    backlog: Backlog,
    options: SchedulerOptions,
    *,
    finder: RunFinder,
    observer: Observer,
    peers: Peers | None = None,
) -> Scheduler:
    """
    A scheduler for a batch, ready to run.

    Args:
        finder: from `takeover.make_finder`.
        peers: the other processes that work on the batch; None if there are none.
    """
    settings, usage, plan = options.settings, backlog.usage, batch.ledger.batch.plan
    usage.gate.breaker.probe_secs = settings.breaker_probe_secs
    for target, reason in options.room.refused.items():
        usage.gate.breaker.held[target] = f"{target} is missing or refused: {reason}"
    finder.orphans.budget = usage.budget
    finder.orphans.adoptable.hold_in(usage, options.room.claim_of)
    parts = _parts(batch, backlog, options, finder, observer)
    stops = StopRules(
        failures=FailureCount(plan.stop_after_failures, backlog.unsettled),
        deadline_secs=None if options.is_aborting else plan.deadline_secs,
    )
    queue, dependencies = backlog.queue, backlog.dependencies
    if peers is None:
        return Scheduler(parts, queue=queue, usage=usage, dependencies=dependencies, stops=stops)
    scheduler = SharedScheduler(
        replace(parts, intents=peers),
        queue=queue,
        usage=usage,
        dependencies=dependencies,
        stops=stops,
    )
    peers.attach(scheduler)
    return scheduler


def _parts(
    batch: OpenBatch,
    backlog: Backlog,
    options: SchedulerOptions,
    finder: RunFinder,
    observer: Observer,
) -> Parts:
    settings = options.settings
    collector = _collector(batch, options)
    known = KnownKeys(batch.reader)
    absent = AbsentResults(batch, collector, known)
    starter = _starter(
        batch,
        options,
        observer,
        finder=finder,
        collector=collector,
        absent=absent,
        known=known,
        gate=backlog.usage.gate,
    )
    return Parts(
        ledger=batch.ledger,
        intents=Intents(batch.ledger, batch.client, options.utc_now),
        client=batch.client,
        observer=observer,
        starter=starter,
        follower=_follower(batch, options, observer, collector),
        finder=finder,
        collector=collector,
        acceptance=Acceptance(batch.folder / "jobs", backlog.usual_items),
        expander=_expander(batch, options, observer, absent),
        claim_of=options.room.claim_of,
        utc_now=options.utc_now,
        chance=options.chance,
        away_secs=settings.platform_away_secs,
        counts_settle_secs=settings.settles_after_secs(batch.ledger.batch),
        most_memory_mbytes=backlog.usage.limits.max_memory_mbytes,
        max_downloads=downloads_at_once(settings, batch.ledger.batch),
        timings=options.timings,
    )


def _expander(
    batch: OpenBatch, options: SchedulerOptions, observer: Observer, absent: AbsentResults
) -> Expands:
    if not (batch.ledger.batch.plan.sweeps and options.adds_jobs):
        return NoExpander()
    return ItemExpander(
        batch,
        options.room,
        observer,
        options.utc_now,
        absent=absent,
        may_reuse=options.reuses,
        shard=options.shard,
    )


def _collector(batch: OpenBatch, options: SchedulerOptions) -> Collector:
    settings = options.settings
    return Collector(
        batch.client,
        batch.files,
        folder=batch.folder / "jobs",
        patience_secs=settings.platform_away_secs,
        settled_after_secs=settings.settles_after_secs(batch.ledger.batch),
        sizes=options.sizes,
    )


def _follower(
    batch: OpenBatch, options: SchedulerOptions, observer: Observer, collector: Collector
) -> Follower:
    return Follower(
        ledger=batch.ledger,
        client=batch.client,
        tail=collector.live,
        observer=observer,
        utc_now=options.utc_now,
        aborting=options.aborting,
    )


def _starter(
    batch: OpenBatch,
    options: SchedulerOptions,
    observer: Observer,
    *,
    finder: RunFinder,
    collector: Collector,
    absent: AbsentResults,
    known: KnownKeys,
    gate: Gate,
) -> Starter:
    settings, plan = options.settings, batch.ledger.batch.plan
    policy = StartPolicy(
        start_deadline_secs=settings.start_deadline_secs,
        settle_secs=settings.settle_secs,
        away_secs=settings.platform_away_secs,
        on_unconfirmed=OnUnconfirmed.FAIL if options.is_aborting else plan.on_unconfirmed,
    )
    return Starter(
        StartParts(
            ledger=batch.ledger,
            client=batch.client,
            finder=finder,
            observer=observer,
            policy=policy,
            read_input=partial(
                read_input,
                env=os.environ,
                needed=partial(read_needed, batch.reader, known, batch.folder),
                prepare=absent.ensure_needed,
            ),
            save_answer=collector.save_answer,
            gate=gate,
            utc_now=options.utc_now,
            chance=options.chance,
            timings=options.timings,
        )
    )
