"""Puts a scheduler together from a batch's ledger, a client and the settings."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room, downloads_at_once
from orchestrator.app.batch.needed_results import Facts
from orchestrator.app.batch.run_inputs import read_input
from orchestrator.app.setup.settings import Settings
from orchestrator.collector.acceptance import Acceptance
from orchestrator.collector.collect import Collector
from orchestrator.ledger import Ledger, WaitingJob
from orchestrator.ledger.statistics import Totals
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.jobs import Demand, demand_of
from orchestrator.model.rules import Remedy
from orchestrator.model.states import AttemptState
from orchestrator.report.progress import Progress
from orchestrator.scheduler.attempt import Driver
from orchestrator.scheduler.decide.dependencies import Needs
from orchestrator.scheduler.decide.limits import Claim, Usage
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.decide.retries import longest_pause_secs
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.follow import Follower
from orchestrator.scheduler.loop import Scheduler, Stops
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.start import Starter, StartPolicy
from orchestrator.scheduler.timings import TIMINGS, Timings
from orchestrator.store.atomic_files import Files

NOTHING_EXPECTED: Mapping[int, float] = {}


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def make_scheduler(
    *,
    ledger: Ledger,
    client: ApifyClient,
    files: Files,
    folder: Path,
    settings: Settings,
    queue: WaitingQueue,
    usage: Usage,
    room: Room,
    observer: Observer,
    finder: RunFinder,
    orphans: Orphans,
    jobs_left: int = 0,
    usual_items: Mapping[int, float] = NOTHING_EXPECTED,
    needs: Needs | None = None,
    needed: Facts | None = None,
    aborting: str | None = None,
    timings: Timings = TIMINGS,
    utc_now: Callable[[], datetime] = utc_now,
    chance: Callable[[], float] = random.random,
) -> Scheduler:
    """
    A scheduler for the batch in `folder`, ready to run.

    Args:
        finder, orphans: from `takeover.make_finder`.
        usage: of the batch's limits, nothing taken yet.
        needs: the jobs that wait for others.
        needed: gives what a job may take of those that it needs.
        usual_items: how many items jobs make, by their places in the spec.
        jobs_left: how many jobs are not settled.
        aborting: why it is to abort live runs and to start none; None when it is not.
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
    """
    counts_settle_secs = settings.settles_after_secs(ledger.batch)
    collector = Collector(
        client,
        files,
        folder=folder / "jobs",
        patience_secs=settings.platform_away_secs,
        settled_after_secs=counts_settle_secs,
    )
    usage.gate.breaker.probe_secs = settings.breaker_probe_secs
    for target, said in room.refused.items():
        usage.gate.breaker.held[target] = f"{target} is missing or refused: {said}"
    orphans.budget = usage.budget
    orphans.spares.hold_in(usage, room.claim_of)
    starter = Starter(
        ledger=ledger,
        client=client,
        finder=finder,
        orphans=orphans,
        observer=observer,
        policy=StartPolicy(
            start_deadline_secs=settings.start_deadline_secs,
            settle_secs=settings.settle_secs,
            away_secs=settings.platform_away_secs,
            on_unconfirmed=(OnUnconfirmed.FAIL if aborting else ledger.batch.plan.on_unconfirmed),
        ),
        read_input=partial(read_input, env=os.environ, needed=needed),
        save_answer=collector.save_answer,
        gate=usage.gate,
        utc_now=utc_now,
        timings=timings,
    )
    driver = Driver(
        ledger=ledger,
        client=client,
        starter=starter,
        follower=Follower(
            ledger=ledger,
            client=client,
            tail=collector.live,
            observer=observer,
            utc_now=utc_now,
            aborting=aborting,
        ),
        collector=collector,
        acceptance=Acceptance(folder / "jobs", usual_items),
        observer=observer,
        utc_now=utc_now,
        chance=chance,
        away_secs=settings.platform_away_secs,
        counts_settle_secs=counts_settle_secs,
        most_memory_mbytes=usage.limits.max_memory_mbytes,
        timings=timings,
    )
    plan = ledger.batch.plan
    return Scheduler(
        driver=driver,
        queue=queue,
        usage=usage,
        claim_of=room.claim_of,
        stops=Stops(
            failures=FailureCount(plan.stop_after_failures, jobs_left),
            deadline_secs=None if aborting else plan.deadline_secs,
        ),
        needs=needs,
        spares=orphans.spares,
        chance=chance,
        max_downloads=downloads_at_once(settings, ledger.batch),
    )


def queue_of(jobs: Iterable[Waiting]) -> WaitingQueue:
    """A queue with these jobs; call it in the event loop, whose clock it uses."""
    queue, now = WaitingQueue(), anyio.current_time()
    for waiting in jobs:
        queue.add(waiting, now)
    return queue


def places_of(
    jobs: Iterable[WaitingJob],
    room: Room,
    expected: Mapping[int, float] = NOTHING_EXPECTED,
    *,
    platform_now: datetime | None,
) -> Iterator[Waiting]:
    """
    The waiting jobs of a ledger as a queue has them, as a stream.

    Call it in the event loop, whose clock it uses.

    Args:
        expected: how long the runs of jobs will take, in seconds, by their places in the spec; the
            median of it for those that are left out.
        platform_now: what the platform's clock shows; None when it is not known.
    """
    now, wall = anyio.current_time(), (platform_now or utc_now()).timestamp()
    usual = median(expected.values()) if expected else 0.0
    claims: dict[tuple[Demand, Remedy], Claim] = {}
    for job in jobs:
        kind = (job.demand, job.remedy)
        claim = claims.get(kind) or claims.setdefault(kind, room.claim_of(*kind))
        yield Waiting(
            rank=-job.priority,
            shortness=-expected.get(job.seq, usual),
            seq=job.seq,
            number=job.attempts + 1,
            claim=claim,
            # Whatever became of the clocks: no pause is longer than it was meant to be.
            ready_at=now + min(max(0.0, job.ready_at - wall), longest_pause_secs(job.backoff_secs)),
        )


def in_place(attempt: Attempt, room: Room) -> Waiting:
    """What an attempt under way would wait as."""
    return Waiting(
        rank=-attempt.job.priority,
        shortness=0.0,
        seq=attempt.job.seq,
        number=attempt.number,
        claim=_held(attempt, room.claim_of(demand_of(attempt.job), attempt.remedy)),
    )


def _held(attempt: Attempt, claim: Claim) -> Claim:
    """What the budget holds for an attempt is what was reserved with its intent."""
    if attempt.reserved_usd is None:
        return claim
    return replace(claim, reserve_usd=attempt.reserved_usd, caps_itself=attempt.caps_itself)


def progress_of(totals: Totals, open_attempts: Iterable[Attempt]) -> Progress:
    """
    The figures to begin a display with; call it in the event loop, whose clock it uses.

    Args:
        open_attempts: what an earlier process left under way.
    """
    progress = Progress(total=0, began_at=anyio.current_time())
    progress.follow(totals)
    progress.settled_before = progress.done
    going = {AttemptState.STARTED, AttemptState.ADOPTED}
    progress.running = sum(attempt.state in going for attempt in open_attempts)
    return progress
