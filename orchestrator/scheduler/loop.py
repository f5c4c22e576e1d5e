"""
The scheduler: wakes, decides, and keeps the tasks of a batch.

Jobs become tasks as slots come free. A slot is free when its run has ended, not when its results
are down; downloads have a bound of their own, and what waits for one is no task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterable

import anyio
from anyio.abc import TaskGroup

from orchestrator.errors import (
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    StoppedEarly,
)
from orchestrator.model.attempts import Attempt
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.admission import Waiting, WaitingQueue
from orchestrator.scheduler.driving import Driver, Ended, Next
from orchestrator.scheduler.limits import Claim, Usage


class Scheduler:
    """
    Drives all jobs of one batch to their end.

    Args:
        queue: the jobs that wait, already in it.
        usage: nothing taken yet.
        max_downloads: runs collected at once.
        stop_grace_secs: how long starts and downloads may go on after a stop.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        queue: WaitingQueue,
        usage: Usage,
        max_downloads: int = 16,
        stop_grace_secs: float = 6.0,
    ) -> None:
        self._driver = driver
        self._queue = queue
        self._usage = usage
        self._max_downloads = max_downloads
        self._stop_grace_secs = stop_grace_secs
        self._ended: deque[tuple[Ended, Claim]] = deque()
        self._collecting = 0
        self._tasks_alive = 0
        self._changed = anyio.Event()
        self._stop_reason: OrchestratorError | None = None
        self._tasks: TaskGroup | None = None

    async def run(self, open_attempts: Iterable[tuple[Attempt, Claim]] = ()) -> None:
        """
        Returns when every job is settled.

        Args:
            open_attempts: what an earlier process left under way.

        Raises:
            OrchestratorError: the reason given to `stop`, once all that was going on has come to
                rest; the ledger then holds all that is known.
        """
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            for attempt, claim in open_attempts:
                self._take_up(attempt, claim)
            while not self._is_at_rest():
                self._changed = anyio.Event()
                wake = self._queue.next_wake() if self._stop_reason is None else None
                with anyio.CancelScope(deadline=float("inf") if wake is None else wake):
                    await self._changed.wait()
            tasks.cancel_scope.cancel()
        if self._stop_reason is not None:
            raise self._stop_reason

    def stop(self, reason: OrchestratorError) -> None:
        """
        Starts nothing more and comes to rest soon; runs on the platform go on.

        Waits for runs are given up at once. Starts that are sent and downloads that are under way
        get a grace, since their answers are worth having. A second call changes nothing.
        """
        if self._stop_reason is not None:
            return
        self._stop_reason = reason
        self._driver.give_up_waits()
        if self._tasks is not None:
            self._tasks.start_soon(self._cancel_after_grace, name="stop-grace")
        self._changed.set()

    def waits_for(self) -> dict[str, int]:
        """
        Why jobs wait, with the number of jobs that each reason holds.
        """
        return self._queue.reasons()

    def _is_at_rest(self) -> bool:
        self._admit()
        if self._tasks_alive:
            return False
        return self._stop_reason is not None or len(self._queue) == 0

    def _admit(self) -> None:
        if self._stop_reason is not None:
            return
        for waiting in self._queue.admit(self._usage, anyio.current_time()):
            self._spawn(self._begin(waiting), name=f"job-{waiting.seq}")

    def _take_up(self, attempt: Attempt, claim: Claim) -> None:
        """
        Goes on with an attempt of an earlier process, from the state that the ledger holds.
        """
        if attempt.state in {AttemptState.FINISHED, AttemptState.COLLECTED} and attempt.run:
            self._ended.append((Ended(attempt, attempt.run), claim))
            if self._collecting < self._max_downloads:
                self._spawn(self._bring_home(), name="collect")
            return
        # Whatever the limits say now: the run may be going.
        self._usage.hold(claim)
        self._spawn(self._drive(attempt, claim, may_exist=True), name=f"job-{attempt.job.seq}")

    async def _begin(self, waiting: Waiting) -> None:
        try:
            attempt = await self._driver.intend(waiting.seq, waiting.number)
        except BaseException:
            self._usage.give(waiting.claim)
            raise
        await self._drive(attempt, waiting.claim, may_exist=False)

    async def _drive(self, attempt: Attempt, claim: Claim, *, may_exist: bool) -> None:
        try:
            end = await self._driver.to_end(attempt, may_exist=may_exist)
        finally:
            self._usage.give(claim)
        # Not in the finally: what is being cancelled must not begin anything.
        self._admit()
        match end:
            case Next():
                self._wait_again(end, claim)
            case Ended():
                self._ended.append((end, claim))
                if self._collecting < self._max_downloads:
                    await self._bring_home()

    async def _bring_home(self) -> None:
        """
        Collects ended runs until none is left.
        """
        self._collecting += 1
        try:
            while self._ended and self._stop_reason is None:
                ended, claim = self._ended.popleft()
                following = await self._driver.bring_home(ended)
                if following is not None:
                    self._wait_again(following, claim)
        finally:
            self._collecting -= 1

    def _wait_again(self, following: Next, claim: Claim) -> None:
        now = anyio.current_time()
        waiting = Waiting(
            rank=-following.job.priority,
            seq=following.job.seq,
            number=following.number,
            claim=claim,
            ready_at=now + following.delay_secs,
        )
        self._queue.add(waiting, now)
        self._changed.set()

    def _spawn(self, work: Awaitable[None], *, name: str) -> None:
        assert self._tasks is not None  # noqa: S101 - only called while running
        self._tasks_alive += 1
        self._tasks.start_soon(self._guarded, work, name=name)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """
        Runs a task; an error that concerns the whole batch stops it, a bug goes on its way.
        """
        try:
            await work
        except PlanLimitReached as error:
            self.stop(PlanExhausted(str(error)))
        except (StoppedEarly, PlatformError) as error:
            self.stop(error)
        finally:
            self._tasks_alive -= 1
            if self._tasks_alive == 0:
                self._changed.set()

    async def _cancel_after_grace(self) -> None:
        assert self._tasks is not None  # noqa: S101 - only called while running
        await anyio.sleep(self._stop_grace_secs)
        self._tasks.cancel_scope.cancel()
