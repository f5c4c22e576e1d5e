"""The waiting jobs and open attempts of a ledger, as the queue of the scheduler has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from statistics import median

import anyio

from orchestrator.app.account.account_limits import Room
from orchestrator.app.clock import utc_now
from orchestrator.ledger import WaitingJob
from orchestrator.model.attempts import Attempt
from orchestrator.model.jobs import Demand, demand_of
from orchestrator.model.rules import Remedy
from orchestrator.model.shard import Shard
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.retries import longest_pause_secs

NOTHING_EXPECTED: Mapping[int, float] = {}


def queue_of(jobs: Iterable[QueuedJob]) -> JobQueue:
    """A queue with these jobs; call it in the event loop, whose clock it uses."""
    queue, now = JobQueue(), anyio.current_time()
    queue.fill(jobs, now)
    return queue


def queued_jobs(
    jobs: Iterable[WaitingJob],
    room: Room,
    expected: Mapping[int, float] = NOTHING_EXPECTED,
    *,
    platform_now: datetime | None,
    shard: Shard | None = None,
) -> Iterator[QueuedJob]:
    """
    The waiting jobs of a ledger as queued jobs, as a stream.

    Call it in the event loop, whose clock it uses.

    Args:
        expected: the expected durations of runs, in seconds, by the places of their jobs in the
            spec; the median for jobs that are not in it.
        platform_now: the time of the platform's clock; None when it is not known.
        shard: whose home jobs come first; None where one process works alone.
    """
    now, wall = anyio.current_time(), (platform_now or utc_now()).timestamp()
    usual = median(expected.values()) if expected else 0.0
    claims: dict[tuple[Demand, Remedy], Claim] = {}
    before: WaitingJob | None = None
    for job in jobs:
        # Mostly the objects of the job before, whose hash would take as long as all the rest.
        if before is None or job.demand is not before.demand or job.remedy is not before.remedy:
            kind = (job.demand, job.remedy)
            claim = claims.get(kind) or claims.setdefault(kind, room.claim_of(*kind))
        before = job
        pause_secs = job.ready_at - wall
        if pause_secs > 0:
            # Even if a clock was set: no pause is longer than its retry rule says.
            pause_secs = min(pause_secs, longest_pause_secs(job.backoff_secs))
        yield QueuedJob(
            rank=-job.priority + (shard.rank_offset(job.home) if shard else 0),
            shortness=-expected.get(job.seq, usual),
            seq=job.seq,
            number=job.attempts + 1,
            claim=claim,
            ready_at=now + pause_secs if pause_secs > 0 else 0.0,
        )


def queued_attempt(attempt: Attempt, room: Room) -> QueuedJob:
    """An open attempt as a queued job."""
    return QueuedJob(
        rank=-attempt.job.priority,
        shortness=0.0,
        seq=attempt.job.seq,
        number=attempt.number,
        claim=_held(attempt, room.claim_of(demand_of(attempt.job), attempt.remedy)),
    )


def _held(attempt: Attempt, claim: Claim) -> Claim:
    """The claim of an open attempt: the budget holds what its intent reserved."""
    if attempt.reserved_usd is None:
        return claim
    return replace(claim, reserve_usd=attempt.reserved_usd, caps_itself=attempt.caps_itself)
