from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.batches import PoolLimits
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.usage import Usage

SMALL = Claim(memory_mbytes=1024)
LARGE = Claim(memory_mbytes=4096)


def waiting(
    seq: int, *, rank: int = 0, claim: Claim = SMALL, ready_at: float = 0.0, secs: float = 0.0
) -> QueuedJob:
    return QueuedJob(rank=rank, shortness=-secs, seq=seq, number=1, claim=claim, ready_at=ready_at)


def queue_of(*jobs: QueuedJob) -> JobQueue:
    queue = JobQueue()
    for job in jobs:
        queue.add(job, 0.0)
    return queue


def test_queue_admits_by_priority_and_then_in_the_order_of_the_spec() -> None:
    """Higher priority starts first; jobs of equal priority start in the order of the spec."""
    queue = queue_of(waiting(0), waiting(1), waiting(2, rank=-5))
    admitted = queue.admit(Usage(Limits(max_runs=2)), 0.0)
    assert [job.seq for job in admitted] == [2, 0]
    assert len(queue) == 1


def test_queue_admits_a_smaller_job_if_a_larger_one_does_not_fit() -> None:
    """A job that needs more memory than is free does not block one that fits."""
    queue = queue_of(waiting(0, claim=LARGE), waiting(1))
    admitted = queue.admit(Usage(Limits(max_runs=9, max_memory_mbytes=2048)), 0.0)
    assert [job.seq for job in admitted] == [1]


def test_queue_shows_why_jobs_wait() -> None:
    """Each reason is shown with the number of jobs that wait for it."""
    queue = queue_of(waiting(0), waiting(1), waiting(2), waiting(3, ready_at=50.0))
    queue.admit(Usage(Limits(max_runs=1)), 0.0)
    assert queue.reasons() == {
        "1 of 1 runs are in progress": 2,
        "waits for its next attempt": 1,
    }


def test_queue_holds_a_job_until_it_is_ready() -> None:
    """A job that waits for its next attempt is admitted at its time, not before."""
    queue = queue_of(waiting(0, ready_at=50.0))
    usage = Usage(Limits(max_runs=1))
    assert queue.admit(usage, 49.9) == []
    assert queue.next_wake() == 50.0
    assert [job.seq for job in queue.admit(usage, 50.0)] == [0]


def test_queue_wakes_when_a_pool_allows_the_next_start() -> None:
    """If a job waits for the rate of a pool, the queue knows when to try again."""
    claim = Claim(memory_mbytes=128, pools=("shop",))
    queue = queue_of(waiting(0, claim=claim), waiting(1, claim=claim))
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    assert [job.seq for job in queue.admit(usage, 5.0)] == [0]
    assert queue.next_wake() == 65.0


@given(
    jobs=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([128, 1024, 4096])), max_size=40),
    max_runs=st.integers(1, 5),
    max_memory=st.sampled_from([4096, 6000, 9000]),
)
def test_queue_obeys_all_limits_and_admits_all_jobs(
    jobs: list[tuple[int, int]], max_runs: int, max_memory: int
) -> None:
    """No step exceeds a limit, and every job starts exactly once."""
    queue = queue_of(
        *(
            waiting(seq, rank=-priority, claim=Claim(memory_mbytes=memory))
            for seq, (priority, memory) in enumerate(jobs)
        )
    )
    usage = Usage(Limits(max_runs=max_runs, max_memory_mbytes=max_memory))
    going: list[QueuedJob] = []
    seen: list[int] = []
    while len(queue) or going:
        admitted = queue.admit(usage, 0.0)
        going += admitted
        seen += [job.seq for job in admitted]
        assert len(going) <= max_runs
        assert sum(job.claim.memory_mbytes for job in going) <= max_memory
        usage.release(going.pop(0).claim)
    assert sorted(seen) == list(range(len(jobs)))


@given(
    jobs=st.lists(
        st.tuples(st.integers(-2, 2), st.integers(0, 3), st.sampled_from([SMALL, LARGE])),
        min_size=1,
        max_size=40,
    ),
    removed=st.integers(0, 39),
    at_once=st.integers(1, 8),
)
def test_queue_has_the_same_order_for_many_jobs_at_once(
    jobs: list[tuple[int, int, Claim]], removed: int, at_once: int
) -> None:
    """Jobs that are packed start in the same order as jobs that come one by one."""
    given = [
        waiting(seq, rank=rank, secs=secs, claim=claim, ready_at=secs % 2)
        for seq, (rank, secs, claim) in enumerate(jobs)
    ]
    one_by_one, packed = queue_of(*given), JobQueue()
    for first in range(0, len(given), at_once):
        packed.fill(given[first : first + at_once], 0.0)
    started = []
    for queue in (one_by_one, packed):
        taken = queue.remove_one(removed, 1)
        assert (taken and taken.seq) == (removed if removed < len(jobs) else None)
        assert len(queue) == len(jobs) - (removed < len(jobs))
        usage = Usage(Limits(max_runs=len(jobs)))
        started.append([job[:5] for now in (0.0, 1.0) for job in queue.admit(usage, now)])
        assert len(queue) == 0
    assert started[0] == started[1]


def test_queue_starts_the_longest_first_among_equals() -> None:
    """The longest job must not begin last; only priority counts for more."""
    queue = queue_of(
        waiting(0, secs=5),
        waiting(1, secs=60),
        waiting(2),
        waiting(3, rank=-1),
        waiting(4, secs=60),
    )
    admitted = queue.admit(Usage(Limits(max_runs=9)), 0.0)
    assert [job.seq for job in admitted] == [3, 1, 4, 0, 2]


def test_job_that_was_overtaken_often_is_next() -> None:
    """A large job does not starve while small ones keep arriving."""
    usage = Usage(Limits(max_runs=9, max_memory_mbytes=4096))
    usage.take(SMALL, 0.0)
    queue = queue_of(waiting(0, claim=LARGE), *(waiting(n) for n in range(1, 200)))
    started: list[int] = []
    while 0 not in started:
        admitted = queue.admit(usage, 0.0)
        started += [job.seq for job in admitted]
        assert len(started) < 60
        usage.release(SMALL)
        if not admitted:
            assert any("has waited long for memory" in reason for reason in queue.reasons())


def test_job_is_overtaken_about_twenty_times() -> None:
    """After that, the queue keeps free what the job waits for."""
    usage = Usage(Limits(max_runs=2, max_memory_mbytes=4096))
    usage.take(SMALL, 0.0)
    queue = queue_of(waiting(0, claim=LARGE), *(waiting(n) for n in range(1, 200)))
    passed = 0
    while admitted := queue.admit(usage, 0.0):
        passed += len(admitted)
        for job in admitted:
            usage.release(job.claim)
    assert passed == 20


def test_job_that_waits_long_for_money_blocks_jobs_that_cost() -> None:
    """A job of a few cents does not take the money; a job without costs starts."""
    expensive = Claim(memory_mbytes=128, reserve_usd=Decimal(8))
    cheap = Claim(memory_mbytes=128, reserve_usd=Decimal("0.05"))
    usage = Usage(Limits(max_runs=2), Budget(Decimal(10), 120.0))
    usage.take(expensive, 0.0)
    free = [waiting(n) for n in range(100, 160)]
    cheap_jobs = [waiting(n, claim=cheap) for n in range(1, 60)]
    queue = queue_of(waiting(0, claim=expensive), *cheap_jobs, *free)
    started: list[int] = []
    while admitted := queue.admit(usage, 0.0):
        started += [job.seq for job in admitted]
        for job in admitted:
            usage.release(job.claim)
    assert [seq for seq in started if seq < 100] == list(range(1, 21))
    assert len([seq for seq in started if seq >= 100]) == 60


def test_job_that_waits_long_for_its_pool_blocks_only_that_pool() -> None:
    """Jobs of other pools use nothing that it waits for, and start."""
    pools = {"shop": PoolLimits(max_runs=1)}
    usage = Usage(Limits(max_runs=99, pools=pools))
    in_pool = Claim(memory_mbytes=128, pools=("shop",))
    usage.take(in_pool, 0.0)
    queue = queue_of(waiting(0, claim=in_pool), *(waiting(n) for n in range(1, 300)))
    done = 0
    while admitted := queue.admit(usage, 0.0):
        done += len(admitted)
        for job in admitted:
            usage.release(job.claim)
    assert (done, len(queue)) == (299, 1)


def test_queue_removes_the_job_of_one_attempt() -> None:
    """A job that has a run already leaves the queue, or its pause; the others stay."""
    queue = queue_of(waiting(0), waiting(1), waiting(2, ready_at=50.0), waiting(3, claim=LARGE))
    assert queue.remove_one(9, 1) is None
    assert queue.remove_one(1, 2) is None
    taken = [queue.remove_one(seq, 1) for seq in (1, 2, 3)]
    assert [job and job.seq for job in taken] == [1, 2, 3]
    usage = Usage(Limits(max_runs=9))
    assert [job.seq for job in queue.admit(usage, 60.0)] == [0]
    assert len(queue) == 0


def test_queue_keeps_the_times_of_later_jobs_in_order() -> None:
    """When some jobs are taken out, the queue wakes for the next of the others."""
    other = Claim(memory_mbytes=128, target=Target(kind=TargetKind.ACTOR, id="me/other"))
    times = [10.0, 50.0, 20.0, 60.0, 70.0, 30.0, 40.0]
    takes: list[Callable[[JobQueue], object]] = [
        lambda queue: queue.remove_one(0, 1),
        lambda queue: queue.remove({other.target}, later=True),
    ]
    for take in takes:
        queue = queue_of(
            *(
                waiting(seq, ready_at=at, claim=SMALL if seq else other)
                for seq, at in enumerate(times)
            )
        )
        take(queue)
        assert queue.next_wake() == 20.0


def test_queue_drops_jobs_that_other_processes_have_taken() -> None:
    """They are not admitted, and the jobs behind them are."""
    queue = queue_of(waiting(0), waiting(1), waiting(2))
    queue.gone = {0, 2}
    admitted = queue.admit(Usage(Limits(max_runs=9)), 0.0)
    assert [job.seq for job in admitted] == [1]
    assert len(queue) == 0
