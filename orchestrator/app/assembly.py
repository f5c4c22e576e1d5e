"""
Puts a scheduler together from a batch's ledger, a client and the settings.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from orchestrator.app.inputs import read_input
from orchestrator.app.preflight import Room
from orchestrator.app.settings import Settings
from orchestrator.client import ApifyClient
from orchestrator.collector import Collector, Files
from orchestrator.ledger import Ledger, WaitingJob
from orchestrator.ledger.reading import Totals
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.states import AttemptState
from orchestrator.report.progress import Progress
from orchestrator.scheduler.admission import Waiting, WaitingQueue
from orchestrator.scheduler.driving import Driver
from orchestrator.scheduler.finding import RunFinder
from orchestrator.scheduler.limits import Limits, Usage
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.observing import Observer
from orchestrator.scheduler.starting import Starter, StartPolicy
from orchestrator.scheduler.strays import Strays


def utc_now() -> datetime:
    """
    The wall clock.
    """
    return datetime.now(UTC)


def make_scheduler(
    *,
    ledger: Ledger,
    client: ApifyClient,
    files: Files,
    folder: Path,
    settings: Settings,
    queue: WaitingQueue,
    limits: Limits,
    observer: Observer,
    claimed: Iterable[RunId],
    given_up: Mapping[Mark, datetime],
    aborting: bool = False,
    utc_now: Callable[[], datetime] = utc_now,
    chance: Callable[[], float] = random.random,
) -> Scheduler:
    """
    A scheduler for the batch in `folder`, ready to run.

    Args:
        claimed: the runs that the batch has already.
        given_up: the marks of sends whose runs, should they turn up, are nobody's, and when those
            sends were intended.
        aborting: it is to abort live runs and to start none.
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
    """
    collector = Collector(
        client, files, folder=folder / "jobs", patience_secs=settings.platform_away_secs
    )
    strays = Strays(
        ledger=ledger,
        client=client,
        observer=observer,
        given_up=given_up,
        utc_now=utc_now,
    )
    starter = Starter(
        ledger=ledger,
        client=client,
        finder=RunFinder(client, strays, claimed, utc_now=utc_now),
        observer=observer,
        policy=StartPolicy(
            start_deadline_secs=settings.start_deadline_secs,
            settle_secs=settings.settle_secs,
            on_unconfirmed=(OnUnconfirmed.FAIL if aborting else ledger.batch.plan.on_unconfirmed),
        ),
        read_input=partial(read_input, env=os.environ),
        save_answer=collector.save_answer,
        utc_now=utc_now,
    )
    driver = Driver(
        ledger=ledger,
        client=client,
        starter=starter,
        collector=collector,
        observer=observer,
        utc_now=utc_now,
        chance=chance,
        away_secs=settings.platform_away_secs,
        aborting=aborting,
    )
    return Scheduler(
        driver=driver, queue=queue, usage=Usage(limits), max_downloads=settings.max_downloads
    )


def fill_queue(
    jobs: Iterable[WaitingJob], room: Room, *, utc_now: Callable[[], datetime] = utc_now
) -> WaitingQueue:
    """
    The waiting jobs of a ledger as a queue; call it in the event loop, whose clock it uses.
    """
    queue = WaitingQueue()
    now, wall = anyio.current_time(), utc_now().timestamp()
    for job in jobs:
        waiting = Waiting(
            rank=-job.priority,
            seq=job.seq,
            number=job.attempts + 1,
            claim=room.claim_of(job.demand),
            ready_at=now + max(0.0, job.ready_at - wall),
        )
        queue.add(waiting, now)
    return queue


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
