"""
An event loop whose clock jumps: nothing sleeps, and an hour of waiting takes no time.

If nothing is ready to run, the clock moves to the next timer at once. All deadlines of anyio and
asyncio follow, because they ask the loop for the time. Threads and sockets do not follow. A
function for `anyio.to_thread` runs at once in the loop's own thread, because the clock would jump
past it. Other work that waits for threads or sockets gets real time, but only while no timer is
left.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from heapq import heappop, heappush
from typing import Any, TypeVar, TypeVarTuple
from unittest.mock import patch

import anyio
import anyio.lowlevel
from anyio import to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
STUCK_AFTER_REAL_SECS = 10.0

LONGEST_JUMP_SECS = 86_400
"""As long as asyncio waits at once."""

MOST_TIMERS = 100
"""With more, asyncio removes those that are cancelled."""


class Stuck(RuntimeError):
    """Every task waits for something that no timer, thread or socket will trigger."""


class JumpingSelector(selectors.DefaultSelector):
    """Finds what is ready without waiting; instead of a wait, it moves the clock of its loop."""

    _fd_to_key: dict[int, selectors.SelectorKey]

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether it watches no file but the loop's own, by which threads wake it."""
        return len(self._fd_to_key) == 1

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Returns what is ready now; waits in real time only if the loop has no timer."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.now += timeout
            return []
        ready = super().select(STUCK_AFTER_REAL_SECS)
        if not ready:
            raise Stuck("all tasks wait, and nothing is left that could wake one")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop on virtual time, which begins at 0 seconds.

    Its turns are those of asyncio, with less work around each: a simulated batch has thousands.
    """

    _ready: deque[Any]
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _clock_resolution: float
    _stopping: bool
    _closed: bool
    _debug: bool

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._jumping.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, in one step."""
        if self._closed or self._debug:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's, in one step."""
        if self._closed or self._debug:
            return super().call_at(when, callback, *args, context=context)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined] # it is asyncio's own
        return timer

    def _run_once(self) -> None:
        """One turn: what is ready runs; if nothing is, the clock moves to the next timer."""
        ready, scheduled, clock = self._ready, self._scheduled, self._jumping
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heappop(scheduled)._scheduled = False
        may_jump = bool(ready or self._stopping or scheduled) and clock.is_alone
        if self._debug or not may_jump or len(scheduled) > MOST_TIMERS:
            super()._run_once()  # type: ignore[misc] # it is asyncio's own
            return
        # What threads hand in is in the queue already: the loop's own file need not be read.
        if not (ready or self._stopping):
            clock.now += min(max(0, scheduled[0]._when - clock.now), LONGEST_JUMP_SECS)
        ends = clock.now + self._clock_resolution
        while scheduled and scheduled[0]._when < ends:
            timer = heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        # Only those that are ready now: those that they add have their turn after the timers.
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


def run_virtual(
    function: Callable[..., Awaitable[T]], *args: Any, options: Mapping[str, Any] | None = None
) -> T:
    """
    Runs an async function to its end on virtual time, and returns its result.

    Args:
        options: more options of anyio's asyncio backend.

    Raises:
        Stuck: it would never end.
    """
    with patch.object(to_thread, "run_sync", _at_once):
        return anyio.run(
            function,
            *args,
            backend="asyncio",
            backend_options={**(options or {}), "loop_factory": VirtualLoop},
        )


async def _at_once(function: Callable[..., T], *args: Any, **_: object) -> T:
    """Runs a function in this thread instead of a worker thread."""
    await anyio.lowlevel.checkpoint()
    return function(*args)
