"""
One thread that does blocking work in groups, for the ledger and for files.

Tasks hand in functions; the thread takes all that have piled up and performs them as one group, so
that one transaction or one round of flushes serves many tasks. A result comes back to the event
loop by one wake-up per group. Only this module and `loop_clock` touch asyncio itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

T = TypeVar("T")


class Work:
    """
    One function handed in, and what became of it.

    Attributes:
        perform: called without arguments in the worker's thread.
        result: what it returned; meaningful once performed.
        error: what went wrong instead, or None.
    """

    __slots__ = ("_future", "error", "perform", "result")

    def __init__(self, perform: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.perform = perform
        self.result: Any = None
        self.error: BaseException | None = None
        self._future = future

    def run(self) -> None:
        """Performs the function and keeps its result or its error."""
        try:
            self.result = self.perform()
        except BaseException as error:  # noqa: BLE001 - carried over to the task that waits
            self.error = error

    def hand_back(self) -> None:
        """Gives the outcome to the waiting task; called in the event loop's thread."""
        # The task was cancelled: nobody waits for the outcome any more.
        if self._future.done():
            return
        if self.error is None:
            self._future.set_result(self.result)
        else:
            self._future.set_exception(self.error)


class Worker(Protocol):
    """Something that performs functions elsewhere, in the order in which they are handed in."""

    def submit(self, perform: Callable[[], T]) -> Awaitable[T]:
        """Hands in a function at once; awaiting the answer gives its result or raises its error."""
        ...


def run_each(group: Sequence[Work]) -> None:
    """Performs the members of a group one after the other, on their own."""
    for work in group:
        work.run()


class GroupWorker:
    """
    The thread, as an async context manager; on leaving, what was handed in is still performed.

    Args:
        name: of the thread.
        perform_group: performs a group: calls `run` of each member, once or (after undoing
            everything) again, and may set `error` on them. What it raises, which is a bug, is
            the error of them all.
        gather_secs: how long the first of a group waits for others.

    Cancellation: a task that stops waiting does not take back what it handed in.
    """

    def __init__(
        self,
        name: str,
        perform_group: Callable[[Sequence[Work]], None] = run_each,
        gather_secs: float = 0.0,
    ) -> None:
        self._perform_group = perform_group
        self._gather_secs = gather_secs
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._name = name

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # In a copy of the context, which says where events are logged. A daemon, so that an exit
        # without `__aexit__` does not wait for this thread.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._serve,), name=self._name, daemon=True
        )
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        # Joining blocks the loop for as long as the last group takes: by design, so that a
        # cancelled scope cannot leave before what was handed in is on disk.
        self._thread.join()
        await asyncio.sleep(0)

    def submit(self, perform: Callable[[], T]) -> Awaitable[T]:
        """Hands in a function at once; awaiting the answer gives its result or raises its error."""
        future: asyncio.Future[T] = self._loop.create_future()
        # Put into the queue by the call and not by its await: records keep the order of the calls.
        self._queue.put(Work(perform, future))
        return future

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            if self._gather_secs:
                time.sleep(self._gather_secs)
            # Only what is queued now: a busy batch must not keep the first ones waiting for ever.
            for _ in range(self._queue.qsize()):
                work = self._queue.get()
                if work is None:
                    self._queue.put(None)
                    break
                group.append(work)
            try:
                self._perform_group(group)
            except BaseException as error:  # noqa: BLE001 - else the tasks would wait for ever
                for work in group:
                    work.error = error
            self._loop.call_soon_threadsafe(_hand_back, group)


def _hand_back(group: Sequence[Work]) -> None:
    for work in group:
        work.hand_back()


class InlineWorker:
    """Performs functions at once in the caller's own thread, for simulation on virtual time."""

    def __init__(self, perform_group: Callable[[Sequence[Work]], None] = run_each) -> None:
        self._perform_group = perform_group

    def submit(self, perform: Callable[[], T]) -> Awaitable[T]:
        """Performs a function before returning; awaiting gives its result or raises its error."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = Work(perform, future)
        self._perform_group([work])
        work.hand_back()
        return future
