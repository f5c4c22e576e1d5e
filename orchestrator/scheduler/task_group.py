"""
The tasks of a batch: an error of the whole batch stops it, and a bug is raised.

A task that has done its work waits for more: to wake one takes a quarter of what a new one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from orchestrator.errors import (
    BatchHeld,
    LedgerAway,
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    StoppedEarly,
    UsageError,
)


@dataclass(slots=True, eq=False)
class _Idle:
    """A task that waits for work."""

    work: Awaitable[None] | None = None
    woken: anyio.Event = field(default_factory=anyio.Event)


class BatchTasks:
    """
    Performs work in tasks of a group.

    Args:
        stop: called with an error that concerns the whole batch.
        rest: called when all work of `spawn` is done.

    Attributes:
        alive: how much work of `spawn` is not done.
    """

    def __init__(
        self,
        group: TaskGroup,
        stop: Callable[[OrchestratorError], None],
        rest: Callable[[], None],
    ) -> None:
        self._group = group
        self._stop = stop
        self._rest = rest
        # Tasks start in the context of the batch: one that an attempt starts is not about it.
        self._context = copy_context()
        self._idle: list[_Idle] = []
        self.alive = 0

    def spawn(self, work: Awaitable[None], *, name: str) -> None:
        """
        Begins work that the end of the batch waits for.

        Args:
            name: of a new task; one that was idle keeps its own.
        """
        self.alive += 1
        if self._idle:
            idle = self._idle.pop()
            idle.work = work
            idle.woken.set()
        else:
            self._start(self._one_by_one, work, name)

    def spawn_beside(self, work: Awaitable[None], *, name: str) -> None:
        """Starts a task that is cancelled at the end of the batch."""
        self._start(self._guarded, work, name)

    def cancel(self) -> None:
        """Cancels all tasks."""
        # Work that is given from now on needs a new task, because an idle one would never begin it.
        self._idle.clear()
        self._group.cancel_scope.cancel()

    def _start(
        self,
        perform: Callable[[Awaitable[None]], Coroutine[None, None, None]],
        work: Awaitable[None],
        name: str,
    ) -> None:
        self._context.run(lambda: self._group.start_soon(perform, work, name=name))

    async def _one_by_one(self, work: Awaitable[None]) -> None:
        """Does work after work, until cancelled."""
        while True:
            try:
                await self._guarded(work)
            finally:
                self.alive -= 1
                if self.alive == 0:
                    self._rest()
            work = await self._next()

    async def _next(self) -> Awaitable[None]:
        idle = _Idle()
        self._idle.append(idle)
        try:
            await idle.woken.wait()
        finally:
            if idle.work is None and idle in self._idle:
                # Cancelled: it must not be given work any more.
                self._idle.remove(idle)
        assert idle.work is not None  # noqa: S101 - set before it is woken
        return idle.work

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        # Before its base class: this batch can be resumed, so it ends with 3 and not with 5.
        except PlanLimitReached as error:
            self._stop(PlanExhausted(str(error)))
        # Any other error is a bug: it leaves the task group and ends the process with 70.
        except (StoppedEarly, PlatformError, BatchHeld, UsageError, LedgerAway) as error:
            self._stop(error)
