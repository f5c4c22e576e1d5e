"""Runs that have ended and wait until the platform has counted their items."""

from __future__ import annotations

from typing import cast

import anyio
import pytest

from orchestrator.errors import Interrupted
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import FailureLimit
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.attempt import AttemptLife, Schedule
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.retries import SETTLED
from orchestrator.scheduler.decide.stops import FailureCount, StopRules
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.downloads import MOST_READY, Downloads
from orchestrator.scheduler.loop import COUNTING_REASON, Scheduler
from orchestrator.scheduler.parts import Parts
from tests.support.builders import make_job
from tests.support.scheduler_parts import make_parts
from tests.support.virtual_time import run_virtual

CLAIM = Claim(memory_mbytes=128)
RUN_SECS = 1.0
SETTLE_SECS = 10.0


class FakePlatform:
    """Runs take a second each; the platform needs ten more seconds to count their items."""

    def __init__(self, status: str = "SUCCEEDED") -> None:
        self.status = status
        self.ends: dict[int, float] = {}
        self.collected: dict[int, float] = {}

    @property
    def outcome(self) -> Outcome:
        failed = self.status != "SUCCEEDED"
        status = JobStatus.FAILED if failed else JobStatus.SUCCEEDED
        return Outcome(status=status, error="it failed" if failed else None)

    def life(
        self, _parts: Parts, schedule: Schedule, waiting: QueuedJob, _attempt: Attempt | None
    ) -> FakeLife:
        return FakeLife(self, schedule, waiting)


class FakeLife:
    """An attempt that counts as a success when its run ends, and is settled when collected."""

    def __init__(self, platform: FakePlatform, schedule: Schedule, waiting: QueuedJob) -> None:
        self._platform = platform
        self._schedule = schedule
        self._waiting = waiting
        self.has_failed_run = platform.status != "SUCCEEDED"

    async def run(self) -> None:
        await anyio.sleep(RUN_SECS)
        now = self._platform.ends[self._waiting.seq] = anyio.current_time()
        self._schedule.usage.release(self._waiting.claim)
        self._schedule.collect_later(cast("AttemptLife", self), now + SETTLE_SECS)
        self._schedule.count(make_job(self._waiting.seq), self._platform.outcome, SETTLED)

    async def collect(self) -> None:
        self._platform.collected[self._waiting.seq] = anyio.current_time()
        outcome = self._platform.outcome
        self._schedule.settle(make_job(self._waiting.seq), outcome, SETTLED, outcome.status)


def scheduler_of(platform: FakePlatform, jobs: int, stops: StopRules | None = None) -> Scheduler:
    queue = JobQueue()
    for seq in range(jobs):
        queue.add(QueuedJob(rank=0, shortness=0.0, seq=seq, number=1, claim=CLAIM), 0.0)
    return Scheduler(
        make_parts(),
        queue=queue,
        usage=Usage(Limits(max_runs=2)),
        stops=stops,
        new_life=platform.life,  # type: ignore[arg-type] # all that the loop calls
    )


def test_ended_run_frees_its_slot_before_it_is_collected() -> None:
    """Two of six short runs are live at a time, and each is collected ten seconds after its end."""
    platform = FakePlatform()
    run_virtual(scheduler_of(platform, 6).run)
    assert sorted(platform.ends.values()) == pytest.approx([1, 1, 2, 2, 3, 3])
    assert platform.collected == {
        seq: pytest.approx(end + SETTLE_SECS) for seq, end in platform.ends.items()
    }


def test_display_shows_why_nothing_runs() -> None:
    """While only the platform's counts are missing, the display shows how many jobs wait."""
    scheduler = scheduler_of(FakePlatform(), 2)
    shown: list[dict[str, int]] = []

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                await anyio.sleep(5)
                shown.append(scheduler.waits_for())

            tasks.start_soon(look)
            await scheduler.run()

    run_virtual(scenario)
    assert shown == [{COUNTING_REASON: 2}]
    assert scheduler.waits_for() == {}


def test_display_shows_that_downloads_are_behind() -> None:
    """While results wait for downloads, nothing is started, although runs are allowed."""
    downloads = Downloads(2, lambda: None)
    for _ in range(MOST_READY - 1):
        downloads.add(cast("AttemptLife", None), 0.0, 0.0)
    assert (downloads.is_behind, downloads.why_behind) == (False, "")
    downloads.add(cast("AttemptLife", None), 0.0, 0.0)
    assert downloads.why_behind == "256 results wait for one of 2 downloads (max_downloads)"
    scheduler = scheduler_of(FakePlatform(), 3)
    scheduler._downloads = downloads
    assert scheduler.waits_for() == {downloads.why_behind: 3}


def test_stop_does_not_wait_for_counts() -> None:
    """A signal does not wait ten seconds; the ledger has the ended runs."""
    platform = FakePlatform()
    scheduler = scheduler_of(platform, 2)

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
    assert platform.collected == {}


def test_failed_run_stops_the_batch_before_it_is_collected() -> None:
    """While the results of a failed run are not collected yet, no start costs more money."""
    platform = FakePlatform(status="FAILED")
    limit = FailureLimit(count=2)
    scheduler = scheduler_of(platform, 50, StopRules(failures=FailureCount(limit, 50)))
    with pytest.raises(Exception, match="2 jobs failed"):
        run_virtual(scheduler.run)
    assert len(platform.ends) <= 4
    assert platform.collected.keys() == platform.ends.keys()
