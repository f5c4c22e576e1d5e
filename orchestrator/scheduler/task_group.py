"""The tasks of a batch: an error of the whole batch stops it, and a bug is raised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context

from anyio.abc import TaskGroup

from orchestrator.errors import (
    BatchHeld,
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    StoppedEarly,
    UsageError,
)


class BatchTasks:
    """
    Starts tasks in a group.

    Args:
        stop: called with an error that concerns the whole batch.
        rest: called when the last task of `spawn` has ended.

    Attributes:
        alive: how many tasks of `spawn` have not ended.
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
        self.alive = 0

    def spawn(self, work: Awaitable[None], *, name: str) -> None:
        """Starts a task that the end of the batch waits for."""
        self.alive += 1
        self._start(self._counted, work, name)

    def spawn_beside(self, work: Awaitable[None], *, name: str) -> None:
        """Starts a task that is cancelled at the end of the batch."""
        self._start(self._guarded, work, name)

    def cancel(self) -> None:
        """Cancels all tasks."""
        self._group.cancel_scope.cancel()

    def _start(
        self,
        perform: Callable[[Awaitable[None]], Coroutine[None, None, None]],
        work: Awaitable[None],
        name: str,
    ) -> None:
        self._context.run(lambda: self._group.start_soon(perform, work, name=name))

    async def _counted(self, work: Awaitable[None]) -> None:
        try:
            await self._guarded(work)
        finally:
            self.alive -= 1
            if self.alive == 0:
                self._rest()

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        # Before its base class: this batch can be resumed, so it ends with 3 and not with 5.
        except PlanLimitReached as error:
            self._stop(PlanExhausted(str(error)))
        # Any other error is a bug: it leaves the task group and ends the process with 70.
        except (StoppedEarly, PlatformError, BatchHeld, UsageError) as error:
            self._stop(error)
