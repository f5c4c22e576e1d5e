"""
The scheduler: wakes, decides, and keeps the tasks of a batch.

Jobs become tasks as slots come free. A slot is free when its run has ended, not when its results
are down; downloads have a bound of their own, and what waits for one is no task.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from functools import partial

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
from orchestrator.scheduler.limits import Blocked, Claim, Usage


@dataclass(slots=True, eq=False)
class Sender:
    """
    An attempt that waits for room to send its start again.
    """

    claim: Claim
    may_go: anyio.Event = field(default_factory=anyio.Event)
    blocked: Blocked | None = None


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
        self._senders: list[Sender] = []
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
            await self._rest()
            if self._stop_reason is None:
                self._spawn(self._driver.look_for_strays(), name="strays")
                await self._rest()
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

    async def _rest(self) -> None:
        """
        Returns when nothing is going on and nothing more may begin.
        """
        while not self._is_at_rest():
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=self._next_wake()):
                await self._changed.wait()

    def _next_wake(self) -> float:
        """
        When time alone may let something begin; for ever when it cannot.
        """
        if self._stop_reason is not None:
            return math.inf
        times = [sender.blocked.until for sender in self._senders if sender.blocked]
        times.append(self._queue.next_wake())
        return min((time for time in times if time is not None), default=math.inf)

    def _is_at_rest(self) -> bool:
        self._admit()
        if self._tasks_alive:
            return False
        return self._stop_reason is not None or len(self._queue) == 0

    def _admit(self) -> None:
        if self._stop_reason is not None:
            return
        now = anyio.current_time()
        for sender in self._senders.copy():
            sender.blocked = self._usage.blocked(sender.claim, now)
            if sender.blocked is None:
                self._usage.take(sender.claim, now)
                self._senders.remove(sender)
                sender.may_go.set()
        for waiting in self._queue.admit(self._usage, now):
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
            end = await self._driver.to_end(
                attempt,
                may_exist=may_exist,
                wait_for_room=partial(self._take_again, claim),
            )
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

    async def _take_again(self, claim: Claim) -> None:
        """
        Gives a claim back and takes it again within the limits.

        More may be held than the limits allow, by attempts of an earlier process that had others;
        what turns out to have no run must not add one to that.
        """
        sender = Sender(claim)
        self._usage.give(claim)
        self._senders.append(sender)
        self._admit()
        self._changed.set()
        try:
            await sender.may_go.wait()
        except BaseException:
            if sender in self._senders:
                self._senders.remove(sender)
                self._usage.hold(claim)
            raise

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
