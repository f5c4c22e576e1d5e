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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
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
"""With more, those that are cancelled are removed when they are the most, as asyncio does."""


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


class Turn(asyncio.Handle):
    """A callback, made without a look for the debug mode: a simulated batch has thousands."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._callback: Any = callback
        self._args: Any = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None


class Timer(asyncio.TimerHandle):
    """A callback for later, made and cancelled without a look for the debug mode."""

    __slots__ = ()
    _loop: VirtualLoop

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        # As `Turn`, without a call.
        self._when = when
        self._callback: Any = callback
        self._args: Any = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._scheduled = True

    def cancel(self) -> None:
        """Cancels the callback."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None
            if self._scheduled:
                self._loop.cancelled_timers += 1


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop on virtual time, which begins at 0 seconds.

    Its turns are those of asyncio, with less work around each: a simulated batch has thousands.

    Attributes:
        cancelled_timers: how many of its timers are.
    """

    _ready: deque[Any]
    _process_events: Callable[[Any], None]
    _stopping: bool
    _closed: bool
    _clock_resolution: float

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        # With their times, which are compared faster than timers are.
        self._timers: list[tuple[float, Timer]] = []
        self.cancelled_timers = 0
        super().__init__(self._jumping)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._jumping.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, in one step."""
        if self._closed:
            return super().call_soon(callback, *args, context=context)
        turn = Turn(callback, args, self, context)
        self._ready.append(turn)
        return turn

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's, in one step."""
        return self.call_at(self._jumping.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's, in one step."""
        if self._closed:
            return super().call_at(when, callback, *args, context=context)
        timer = Timer(when, callback, args, self, context)
        heappush(self._timers, (when, timer))
        return timer

    def close(self) -> None:
        """Closes the loop, and forgets its timers."""
        super().close()
        self._timers.clear()

    def _run_once(self) -> None:
        """One turn: what is ready runs; if nothing is, the clock moves to the next timer."""
        ready, timers, clock = self._ready, self._timers, self._jumping
        if timers and (timers[0][1]._cancelled or len(timers) > MOST_TIMERS):
            self._drop_cancelled()
        wait: float | None = None
        if ready or self._stopping:
            wait = 0
        elif timers:
            wait = min(max(0, timers[0][0] - clock.now), LONGEST_JUMP_SECS)
        # What threads hand in is in the queue already: the loop's own file need not be read.
        if wait is not None and clock.is_alone:
            clock.now += wait
        else:
            self._process_events(clock.select(wait))
        ends = clock.now + self._clock_resolution
        while timers and timers[0][0] < ends:
            timer = heappop(timers)[1]
            timer._scheduled = False
            ready.append(timer)
        # Only those that are ready now: those that they add have their turn after the timers.
        for _ in range(len(ready)):
            turn = ready.popleft()
            if not turn._cancelled:
                try:
                    turn._context.run(turn._callback, *turn._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as asyncio's
                    self.call_exception_handler(
                        {"message": "Exception in callback", "exception": error, "handle": turn}
                    )

    def _drop_cancelled(self) -> None:
        """Removes cancelled timers: the first ones, or all of them when they are the most."""
        timers = self._timers
        if len(timers) > MOST_TIMERS and self.cancelled_timers > len(timers) / 2:
            for _, timer in timers:
                timer._scheduled = not timer._cancelled
            timers[:] = [one for one in timers if one[1]._scheduled]
            heapify(timers)
            self.cancelled_timers = 0
        else:
            while timers and timers[0][1]._cancelled:
                self.cancelled_timers -= 1
                heappop(timers)[1]._scheduled = False


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
