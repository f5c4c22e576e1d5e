from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import anyio
import pytest

from orchestrator.errors import Interrupted
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import PoolLimits
from orchestrator.model.ids import Mark
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.attempt import Driver
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.loop import Scheduler
from tests.support.builders import NOON, make_job
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


def scheduler_of(driver: FakeDriver, usage: Usage, waiting: int = 0) -> Scheduler:
    queue = WaitingQueue()
    for seq in range(100, 100 + waiting):
        queue.add(place(seq), 0.0)
    return Scheduler(
        driver=cast("Driver", driver),
        queue=queue,
        usage=usage,
        claim_of=lambda _demand, _remedy: CLAIM,
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
