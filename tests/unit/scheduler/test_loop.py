from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import anyio
import pytest

from orchestrator.apify import models
from orchestrator.errors import Interrupted
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import PoolLimits
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import demand_of
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.attempt import Schedule
from orchestrator.scheduler.decide.adoptable_runs import AdoptableRuns
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.retries import SETTLED
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.timings import TIMINGS
from tests.support.builders import NOON, make_job, make_run
from tests.support.scheduler_parts import FakeFinder, make_parts
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

CLAIM = Claim(memory_mbytes=128)
RUN_SECS = 10.0
SEARCH_SECS = 0.5


def attempt(seq: int) -> Attempt:
    return Attempt(
        job=make_job(seq),
        number=1,
        send=1,
        mark=Mark(f"m.{seq}.1.1"),
        state=AttemptState.INTENT,
        intent_at=NOON,
    )


def place(seq: int, claim: Claim = CLAIM) -> QueuedJob:
    return QueuedJob(rank=0, shortness=0.0, seq=seq, number=1, claim=claim)


class FakePlatform(FakeFinder, WholeClient):
    """
    What the attempts of these tests share.

    Runs of an earlier process are not found: each start is sent again, and its run takes a while.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.most = 0
        self.done: list[int] = []
        self.has_looked = False

    def life(
        self, _parts: Parts, schedule: Schedule, waiting: QueuedJob, attempt: Attempt | None
    ) -> FakeLife:
        return FakeLife(self, schedule, waiting, attempt)

    async def search_for_orphans(self) -> None:
        """Takes a while."""
        await anyio.sleep(SEARCH_SECS)
        self.has_looked = True


class FakeLife:
    """An attempt whose run no follower polls."""

    has_failed_run = False

    def __init__(
        self,
        platform: FakePlatform,
        schedule: Schedule,
        waiting: QueuedJob,
        attempt: Attempt | None,
    ) -> None:
        self._platform = platform
        self._schedule = schedule
        self._waiting = waiting
        self._attempt = attempt

    async def run(self) -> None:
        platform = self._platform
        try:
            if self._attempt is not None:
                await anyio.sleep(1)
                await self._schedule.wait_for_slot(self._waiting)
            platform.live += 1
            platform.most = max(platform.most, platform.live)
            await anyio.sleep(RUN_SECS)
            platform.live -= 1
            platform.done.append(self._waiting.seq)
        finally:
            self._schedule.usage.release(self._waiting.claim)


def scheduler_of(
    platform: FakePlatform, usage: Usage, waiting: int = 0, adoptable: AdoptableRuns | None = None
) -> Scheduler:
    queue = JobQueue()
    for seq in range(100, 100 + waiting):
        queue.add(place(seq), 0.0)
    platform.orphans = SimpleNamespace(
        adoptable=adoptable or AdoptableRuns(), end_adoptable=platform.end_adoptable
    )
    return Scheduler(
        make_parts(finder=platform, client=platform),
        queue=queue,
        usage=usage,
        new_life=platform.life,  # type: ignore[arg-type] # all that the loop calls
    )


def test_repeated_starts_obey_a_smaller_limit() -> None:
    """Six open intents of a process with six slots run two at a time if the limit is now two."""
    platform = FakePlatform()
    scheduler = scheduler_of(platform, Usage(Limits(max_runs=2)), waiting=3)
    run_virtual(lambda: scheduler.run((attempt(seq), place(seq)) for seq in range(6)))
    assert platform.most == 2
    assert sorted(platform.done) == [*range(6), 100, 101, 102]


def test_repeated_starts_obey_the_rate_of_a_pool() -> None:
    """An attempt that waits only for the pool's next minute wakes up at that time."""
    platform = FakePlatform()
    claim = Claim(memory_mbytes=128, pools=("shop",))
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    scheduler = scheduler_of(platform, usage)

    async def scenario() -> float:
        await scheduler.run((attempt(seq), place(seq, claim)) for seq in range(3))
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(1 + 120 + RUN_SECS, abs=1)
    assert platform.most == 1


def test_stop_ends_attempts_that_wait_to_send_again() -> None:
    """Attempts that wait for a slot when the batch stops are left to the next process."""
    platform = FakePlatform()
    usage = Usage(Limits(max_runs=1))
    scheduler = scheduler_of(platform, usage)

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await anyio.sleep(3)
                scheduler.stop(Interrupted(2))

            tasks.start_soon(stop)
            with pytest.raises(Interrupted):
                await scheduler.run((attempt(seq), place(seq)) for seq in range(4))

    run_virtual(scenario)
    assert usage.runs == 0
    assert platform.done == []


def test_batch_ends_after_a_last_search_for_orphans() -> None:
    """Before the batch ends, it searches once more for runs of starts that were given up."""
    platform = FakePlatform()
    scheduler = scheduler_of(platform, Usage(Limits(max_runs=1)), waiting=1)
    run_virtual(scheduler.run)
    assert platform.has_looked


class PlatformWithAdoptableRun(FakePlatform):
    """The first attempt of each job fails; the second one has an adoptable run, or none."""

    def __init__(
        self, adoptable: AdoptableRuns, ends_at: float = 0.0, remedy: Remedy = NO_REMEDY
    ) -> None:
        super().__init__()
        self.remedy = remedy
        self.adoptable = adoptable
        self.ends_at = ends_at
        self.begun: list[tuple[int, int, float]] = []
        self.ended: list[int] = []

    def life(
        self, _parts: Parts, schedule: Schedule, waiting: QueuedJob, attempt: Attempt | None
    ) -> AdoptingLife:
        return AdoptingLife(self, schedule, waiting, attempt)

    async def get(self, run_id: RunId, **_given: object) -> models.Run:
        has_ended = anyio.current_time() >= self.ends_at
        return models.Run(
            {
                "id": run_id,
                "status": "SUCCEEDED" if has_ended else "RUNNING",
                "startedAt": NOON.isoformat(),
                "defaultDatasetId": "d",
                "defaultKeyValueStoreId": "s",
            }
        )

    async def end_adoptable(self, seq: int | None = None) -> None:
        for place, found in self.adoptable.in_order():
            if place[0] == seq:
                self.ended.append(seq)
                self.adoptable.take(place)
                self.adoptable.release(found)


class AdoptingLife(FakeLife):
    """An attempt that takes its adoptable run, or starts one."""

    _platform: PlatformWithAdoptableRun

    async def run(self) -> None:
        platform, waiting, schedule = self._platform, self._waiting, self._schedule
        if self._attempt is None:
            platform.begun.append((waiting.seq, waiting.number, anyio.current_time()))
            await anyio.sleep(1)
        found = platform.adoptable.take((waiting.seq, waiting.number))
        if found is not None:
            platform.adoptable.release(found)
        await anyio.sleep(RUN_SECS)
        schedule.usage.release(waiting.claim)
        if (waiting.seq, waiting.number) == (0, 1):
            again = waiting._replace(number=2, ready_at=anyio.current_time() + 300.0)
            schedule.queue_again(again, platform.remedy)
            return
        platform.done.append(waiting.seq)
        outcome = Outcome(status=JobStatus.FAILED, error="No.")
        schedule.settle(make_job(waiting.seq), outcome, SETTLED, None)


async def run_to_the_end(
    scheduler: Scheduler, open_attempts: Iterable[tuple[Attempt, QueuedJob]] = ()
) -> None:
    """Runs a batch with a time limit: it would wait forever for a slot that is never released."""
    with anyio.move_on_after(1000.0):
        await scheduler.run(open_attempts)


def adoptable_of(usage: Usage, seq: int, number: int) -> AdoptableRuns:
    """One live run that another process started."""
    adoptable = AdoptableRuns()
    adoptable.hold_in(usage, lambda _demand: CLAIM)
    add_adoptable(adoptable, seq, number)
    return adoptable


def add_adoptable(adoptable: AdoptableRuns, seq: int, number: int) -> None:
    run = make_run("theirs", status="RUNNING", finished_at=None)
    adoptable.add((seq, number), Mark(f"m.{seq}.{number}.1"), run, demand_of(make_job(seq)))


def test_attempt_takes_its_adoptable_run_even_if_the_limits_are_full() -> None:
    """The second attempt begins when the first one has ended, with the slot that its run holds."""
    usage = Usage(Limits(max_runs=1))
    adoptable = adoptable_of(usage, 0, 2)
    platform = PlatformWithAdoptableRun(adoptable, ends_at=1e9)
    scheduler = scheduler_of(platform, usage, waiting=1, adoptable=adoptable)
    run_virtual(run_to_the_end, scheduler, [(attempt(0), place(0))])
    assert platform.begun[0] == (0, 2, RUN_SECS)
    assert (platform.done, usage.runs) == ([0, 100], 0)


def test_adoptable_run_of_a_job_that_is_settled_is_ended() -> None:
    """A run that no attempt will take must not hold the only slot forever."""
    usage = Usage(Limits(max_runs=1))
    adoptable = adoptable_of(usage, 1, 2)
    platform = PlatformWithAdoptableRun(adoptable, ends_at=1e9)
    scheduler = scheduler_of(platform, usage, waiting=1, adoptable=adoptable)
    run_virtual(run_to_the_end, scheduler, [(attempt(1), place(1))])
    assert (platform.ended, platform.done, usage.runs) == ([1], [1, 100], 0)


def test_adoptable_run_of_an_attempt_that_resurrects_is_ended() -> None:
    """An attempt that resurrects a run takes no other run, and needs its slot."""
    usage = Usage(Limits(max_runs=1))
    adoptable = adoptable_of(usage, 0, 2)
    platform = PlatformWithAdoptableRun(
        adoptable, ends_at=1e9, remedy=Remedy(resurrects=RunId("mine"))
    )
    scheduler = scheduler_of(platform, usage, adoptable=adoptable)
    run_virtual(run_to_the_end, scheduler, [(attempt(0), place(0))])
    assert platform.ended[:1] == [0]
    assert platform.begun == [(0, 2, RUN_SECS + 300.0)]


def test_jobs_wait_until_an_adoptable_run_has_ended() -> None:
    """A run whose attempt never begins releases its slot when it ends, and other jobs start."""
    usage = Usage(Limits(max_runs=1))
    adoptable = adoptable_of(usage, 7, 2)
    platform = PlatformWithAdoptableRun(adoptable, ends_at=100.0)
    scheduler = scheduler_of(platform, usage, waiting=1, adoptable=adoptable)
    run_virtual(run_to_the_end, scheduler)
    (begun,) = platform.begun
    assert begun[:2] == (100, 1)
    assert 100.0 <= begun[2] <= 100.0 + TIMINGS.adoptable_interval_secs


def test_waiting_job_takes_an_adoptable_run_that_is_found_later() -> None:
    """A job that waits for the only slot begins when the run in that slot proves to be its own."""
    usage = Usage(Limits(max_runs=1))
    adoptable = AdoptableRuns()
    adoptable.hold_in(usage, lambda _demand: CLAIM)
    platform = PlatformWithAdoptableRun(adoptable, ends_at=1e9)
    scheduler = scheduler_of(platform, usage, waiting=1, adoptable=adoptable)

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:

            async def find() -> None:
                await anyio.sleep(5)
                add_adoptable(adoptable, 100, 1)

            tasks.start_soon(find)
            await run_to_the_end(scheduler, [(attempt(1), place(1))])

    run_virtual(scenario)
    assert platform.begun == [(100, 1, 5.0)]
    assert usage.runs == 0
