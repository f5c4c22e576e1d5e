"""Runs that have ended and wait until the platform has counted their items."""

from __future__ import annotations

from typing import cast

import anyio
import pytest

from orchestrator.errors import Interrupted
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import FailureLimit
from orchestrator.model.ids import Mark
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.attempt import Driver, Over
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.decide.retries import SETTLED, Verdict
from orchestrator.scheduler.decide.spares import Spares
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.follow import Ended
from orchestrator.scheduler.loop import COUNTING_REASON, Scheduler, Stops
from tests.support.builders import NOON, make_job, make_run
from tests.support.virtual_time import run_virtual

CLAIM = Claim(memory_mbytes=128)
RUN_SECS = 1.0
SETTLE_SECS = 10.0


class FakeDriver:
    """Runs take a second each; the platform needs ten more to count what they made."""

    def __init__(self, status: str = "SUCCEEDED") -> None:
        self.status = status
        self.ends: dict[int, float] = {}
        self.collected: dict[int, float] = {}

    async def intend(self, seq: int, number: int, _claim: object = None) -> Attempt:
        return Attempt(
            job=make_job(seq),
            number=number,
            send=1,
            mark=Mark(f"m.{seq}.1.1"),
            state=AttemptState.INTENT,
            intent_at=NOON,
        )

    async def to_end(self, attempt: Attempt, **_: object) -> Ended:
        await anyio.sleep(RUN_SECS)
        self.ends[attempt.job.seq] = anyio.current_time()
        return Ended(attempt, make_run(f"run{attempt.job.seq}", status=self.status))

    def settles_at(self, ended: Ended) -> float:
        return self.ends[ended.attempt.job.seq] + SETTLE_SECS

    async def ended(self, seq: int, number: int, aborted_because: str | None) -> Ended:
        run = make_run(f"run{seq}", status=self.status)
        return Ended(await self.intend(seq, number), run, None, aborted_because)

    def foresee(self, _ended: Ended) -> tuple[Outcome, Verdict | None]:
        return Outcome(status=JobStatus.FAILED, error="it failed"), SETTLED

    async def bring_home(self, ended: Ended) -> Over:
        self.collected[ended.attempt.job.seq] = anyio.current_time()
        failed = self.status != "SUCCEEDED"
        status = JobStatus.FAILED if failed else JobStatus.SUCCEEDED
        outcome = Outcome(status=status, error="it failed" if failed else None)
        return Over(attempt=ended.attempt, outcome=outcome, run=ended.run)

    async def watch_for_copies(self) -> None:
        """There is none."""

    async def look_for_orphans(self) -> None:
        """There are none."""

    def give_up_waits(self) -> None:
        """Nothing is waited for."""


def scheduler_of(driver: FakeDriver, jobs: int, stops: Stops | None = None) -> Scheduler:
    queue = WaitingQueue()
    for seq in range(jobs):
        queue.add(Waiting(rank=0, shortness=0.0, seq=seq, number=1, claim=CLAIM), 0.0)
    return Scheduler(
        driver=cast("Driver", driver),
        queue=queue,
        usage=Usage(Limits(max_runs=2)),
        claim_of=lambda _demand, _remedy: CLAIM,
        spares=Spares(),
        stops=stops,
        stop_grace_secs=1,
    )


def test_ended_run_frees_its_slot_before_it_is_collected() -> None:
    """Six runs of a second go two at a time, and each is collected ten seconds after its end."""
    driver = FakeDriver()
    run_virtual(scheduler_of(driver, 6).run)
    assert sorted(driver.ends.values()) == pytest.approx([1, 1, 2, 2, 3, 3])
    assert driver.collected == {
        seq: pytest.approx(end + SETTLE_SECS) for seq, end in driver.ends.items()
    }


def test_display_tells_why_nothing_runs() -> None:
    """While only the platform's count is waited for, the jobs that wait for it are told."""
    scheduler = scheduler_of(FakeDriver(), 2)
    told: list[dict[str, int]] = []

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                await anyio.sleep(5)
                told.append(scheduler.waits_for())

            tasks.start_soon(look)
            await scheduler.run()

    run_virtual(scenario)
    assert told == [{COUNTING_REASON: 2}]
    assert scheduler.waits_for() == {}


def test_stop_leaves_runs_that_are_not_counted_yet() -> None:
    """A signal is not held up by ten seconds of waiting; the ledger knows the ended runs."""
    driver = FakeDriver()
    scheduler = scheduler_of(driver, 2)

    async def scenario() -> float:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await anyio.sleep(3)
                scheduler.stop(Interrupted(15))

            tasks.start_soon(stop)
            with pytest.raises(Interrupted):
                await scheduler.run()
        return anyio.current_time()

    assert run_virtual(scenario) < 5
    assert driver.collected == {}


def test_failed_run_stops_the_batch_before_it_is_collected() -> None:
    """Nothing more is started for money while the results of a failed run are waited for."""
    driver = FakeDriver(status="FAILED")
    limit = FailureLimit(count=2)
    scheduler = scheduler_of(driver, 50, Stops(failures=FailureCount(limit, 50)))
    with pytest.raises(Exception, match="2 jobs failed"):
        run_virtual(scheduler.run)
    assert len(driver.ends) <= 4
    assert driver.collected.keys() == driver.ends.keys()
