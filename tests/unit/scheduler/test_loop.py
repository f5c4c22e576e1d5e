from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import cast

import anyio
import pytest

from orchestrator.errors import Interrupted
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import PoolLimits
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.jobs import demand_of
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.attempt import Driver, Next, Over
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.decide.spares import Spares
from orchestrator.scheduler.loop import SPARE_LOOK_SECS, Scheduler
from tests.support.builders import NOON, make_job, make_run
from tests.support.virtual_time import run_virtual

CLAIM = Claim(memory_mbytes=128)
RUN_SECS = 10.0
LOOK_SECS = 0.5


def attempt(seq: int) -> Attempt:
    return Attempt(
        job=make_job(seq),
        number=1,
        send=1,
        mark=Mark(f"m.{seq}.1.1"),
        state=AttemptState.INTENT,
        intent_at=NOON,
    )


def place(seq: int, claim: Claim = CLAIM) -> Waiting:
    return Waiting(rank=0, shortness=0.0, seq=seq, number=1, claim=claim)


class FakeDriver:
    """Attempts of an earlier process have no run; each is sent again and runs a while."""

    def __init__(self) -> None:
        self.live = 0
        self.most = 0
        self.done: list[int] = []
        self.has_looked = False

    async def intend(self, seq: int, _number: int, _claim: Claim) -> Attempt:
        return attempt(seq)

    async def to_end(
        self,
        attempt: Attempt,
        *,
        may_exist: bool,
        wait_for_room: Callable[[], Awaitable[None]],
        **_: object,
    ) -> None:
        if may_exist:
            await anyio.sleep(1)
            await wait_for_room()
        self.live += 1
        self.most = max(self.most, self.live)
        await anyio.sleep(RUN_SECS)
        self.live -= 1
        self.done.append(attempt.job.seq)

    async def watch_for_copies(self) -> None:
        """There is none."""

    async def look_for_orphans(self) -> None:
        """Takes a while."""
        await anyio.sleep(LOOK_SECS)
        self.has_looked = True

    def give_up_waits(self) -> None:
        """Nothing is waited for."""


def scheduler_of(
    driver: FakeDriver, usage: Usage, waiting: int = 0, spares: Spares | None = None
) -> Scheduler:
    queue = WaitingQueue()
    for seq in range(100, 100 + waiting):
        queue.add(place(seq), 0.0)
    return Scheduler(
        driver=cast("Driver", driver),
        queue=queue,
        usage=usage,
        claim_of=lambda _demand, _remedy: CLAIM,
        spares=spares or Spares(),
        stop_grace_secs=1,
    )


def test_starts_sent_again_keep_to_a_smaller_limit() -> None:
    """Six open intents of a process that might run six go on two at a time where two may run."""
    driver = FakeDriver()
    scheduler = scheduler_of(driver, Usage(Limits(max_runs=2)), waiting=3)
    run_virtual(lambda: scheduler.run((attempt(seq), place(seq)) for seq in range(6)))
    assert driver.most == 2
    assert sorted(driver.done) == [*range(6), 100, 101, 102]


def test_starts_sent_again_keep_to_a_pools_rate() -> None:
    """A send that only time lets through wakes up by itself."""
    driver = FakeDriver()
    claim = Claim(memory_mbytes=128, pools=("shop",))
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    scheduler = scheduler_of(driver, usage)

    async def scenario() -> float:
        await scheduler.run((attempt(seq), place(seq, claim)) for seq in range(3))
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(1 + 120 + RUN_SECS, abs=1)
    assert driver.most == 1


def test_stop_ends_those_who_wait_to_send_again() -> None:
    """What waits for room when the batch is stopped is left to the next process, slots in order."""
    driver = FakeDriver()
    usage = Usage(Limits(max_runs=1))
    scheduler = scheduler_of(driver, usage)

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
    assert driver.done == []


def test_batch_ends_after_a_last_look_for_orphans() -> None:
    """Runs whose starts were given up are looked for once more before the batch is over."""
    driver = FakeDriver()
    scheduler = scheduler_of(driver, Usage(Limits(max_runs=1)), waiting=1)
    run_virtual(scheduler.run)
    assert driver.has_looked


class DriverWithSpares(FakeDriver):
    """The first attempt at each job fails; the second one has a spare run, or none."""

    def __init__(self, spares: Spares, ends_at: float = 0.0, remedy: Remedy = NO_REMEDY) -> None:
        super().__init__()
        self.remedy = remedy
        self.spares = spares
        self.ends_at = ends_at
        self.begun: list[tuple[int, int, float]] = []
        self.ended: list[int] = []

    async def intend(self, seq: int, number: int, _claim: Claim) -> Attempt:
        self.begun.append((seq, number, anyio.current_time()))
        await anyio.sleep(1)
        return replace(attempt(seq), number=number)

    async def to_end(  # type: ignore[override] # it ends otherwise
        self, attempt: Attempt, **_: object
    ) -> Next | Over:
        spare = self.spares.take((attempt.job.seq, attempt.number))
        if spare is not None:
            self.spares.release(spare)
        await anyio.sleep(RUN_SECS)
        if attempt.job.seq == 0 and attempt.number == 1:
            return Next(job=attempt.job, number=2, delay_secs=300.0, remedy=self.remedy)
        self.done.append(attempt.job.seq)
        outcome = Outcome(status=JobStatus.FAILED, error="No.")
        return Over(attempt=attempt, outcome=outcome, run=None)

    async def has_ended(self, _run: Run) -> bool:
        return anyio.current_time() >= self.ends_at

    async def end_spares(self, seq: int) -> None:
        self.ended.append(seq)
        for place, spare in self.spares.in_order():
            if place[0] == seq:
                self.spares.take(place)
                self.spares.release(spare)


async def to_the_end(
    scheduler: Scheduler, open_attempts: Iterable[tuple[Attempt, Waiting]] = ()
) -> None:
    """Runs a batch, which would wait for ever if it waited for a slot that nobody gives back."""
    with anyio.move_on_after(1000.0):
        await scheduler.run(open_attempts)


def spares_of(usage: Usage, seq: int, number: int) -> Spares:
    """One live run that another process started."""
    spares = Spares()
    spares.hold_in(usage, lambda _demand: CLAIM)
    add_spare(spares, seq, number)
    return spares


def add_spare(spares: Spares, seq: int, number: int) -> None:
    run = make_run("theirs", status="RUNNING", finished_at=None)
    spares.add((seq, number), Mark(f"m.{seq}.{number}.1"), run, demand_of(make_job(seq)))


def test_attempt_takes_its_spare_run_though_the_limits_are_full() -> None:
    """The second attempt begins when the first one is over, with the slot that its run holds."""
    usage = Usage(Limits(max_runs=1))
    spares = spares_of(usage, 0, 2)
    driver = DriverWithSpares(spares, ends_at=1e9)
    scheduler = scheduler_of(driver, usage, waiting=1, spares=spares)
    run_virtual(to_the_end, scheduler, [(attempt(0), place(0))])
    assert driver.begun[0] == (0, 2, RUN_SECS)
    assert (driver.done, usage.runs) == ([0, 100], 0)


def test_spare_run_of_a_job_that_is_settled_is_ended() -> None:
    """A run that no attempt will take must not hold the only slot for ever."""
    usage = Usage(Limits(max_runs=1))
    spares = spares_of(usage, 1, 2)
    driver = DriverWithSpares(spares, ends_at=1e9)
    scheduler = scheduler_of(driver, usage, waiting=1, spares=spares)
    run_virtual(to_the_end, scheduler, [(attempt(1), place(1))])
    assert (driver.ended, driver.done, usage.runs) == ([1], [1, 100], 0)


def test_spare_run_of_an_attempt_that_resurrects_is_ended() -> None:
    """An attempt that lets the run before it go on takes no other run, and needs its slot."""
    usage = Usage(Limits(max_runs=1))
    spares = spares_of(usage, 0, 2)
    driver = DriverWithSpares(spares, ends_at=1e9, remedy=Remedy(resurrects=RunId("mine")))
    scheduler = scheduler_of(driver, usage, spares=spares)
    run_virtual(to_the_end, scheduler, [(attempt(0), place(0))])
    assert driver.ended[:1] == [0]
    assert driver.begun == [(0, 2, RUN_SECS + 300.0)]


def test_jobs_wait_until_a_spare_run_has_ended() -> None:
    """A run whose attempt does not come gives its slot back when it ends, and others start."""
    usage = Usage(Limits(max_runs=1))
    spares = spares_of(usage, 7, 2)
    driver = DriverWithSpares(spares, ends_at=100.0)
    scheduler = scheduler_of(driver, usage, waiting=1, spares=spares)
    run_virtual(to_the_end, scheduler)
    (begun,) = driver.begun
    assert begun[:2] == (100, 1)
    assert 100.0 <= begun[2] <= 100.0 + SPARE_LOOK_SECS


def test_waiting_job_takes_a_spare_run_that_is_found_later() -> None:
    """A job that waits for the only slot begins when the run that holds it is found to be its."""
    usage = Usage(Limits(max_runs=1))
    spares = Spares()
    spares.hold_in(usage, lambda _demand: CLAIM)
    driver = DriverWithSpares(spares, ends_at=1e9)
    scheduler = scheduler_of(driver, usage, waiting=1, spares=spares)

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:

            async def find() -> None:
                await anyio.sleep(5)
                add_spare(spares, 100, 1)

            tasks.start_soon(find)
            await to_the_end(scheduler, [(attempt(1), place(1))])

    run_virtual(scenario)
    assert driver.begun == [(100, 1, 5.0)]
    assert usage.runs == 0
