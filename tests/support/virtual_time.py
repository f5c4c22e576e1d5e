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
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from unittest.mock import patch

import anyio
import anyio.lowlevel
from anyio import to_thread

T = TypeVar("T")
STUCK_AFTER_REAL_SECS = 10.0


class Stuck(RuntimeError):
    """Every task waits for something that no timer, thread or socket will trigger."""


class JumpingSelector(selectors.DefaultSelector):
    """Finds what is ready without waiting; instead of a wait, it moves the clock of its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Returns what is ready now; waits in real time only if the loop has no timer."""
        # The one file is the loop's own: what threads hand in is in its queue already.
        if timeout == 0 and len(self.get_map()) == 1:
            return []
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
    """An event loop on virtual time, which begins at 0 seconds."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._jumping.now


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
