from __future__ import annotations

import gc
import tracemalloc

import anyio

from orchestrator.app.account.account_limits import ANY_ROOM
from orchestrator.app.batch.queued_jobs import queue_of, queued_jobs
from orchestrator.ledger import WaitingJob
from orchestrator.model.jobs import Demand, Target, TargetKind
from orchestrator.scheduler.decide.limits import Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.usage import Usage

DEMAND = Demand(target=Target(kind=TargetKind.ACTOR, id="me/actor"))
JOBS = 5_000


def queue_with(jobs: int) -> JobQueue:
    waiting = (
        WaitingJob(seq=seq, demand=DEMAND, priority=0, attempts=0, ready_at=0.0)
        for seq in range(jobs)
    )
    return queue_of(queued_jobs(waiting, ANY_ROOM, platform_now=None))


async def test_queue_of_many_jobs_takes_little_memory() -> None:
    """A waiting job takes 20 bytes: a batch of a million would otherwise hold 200 MB of them."""
    # What the first call imports and keeps does not count.
    queue_with(1)
    tracemalloc.start()
    try:
        queue = queue_with(JOBS)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(queue) == JOBS
    assert held / JOBS < 40
    admitted = queue.admit(Usage(Limits(max_runs=3)), anyio.current_time())
    assert [job.seq for job in admitted] == [0, 1, 2]
