"""
The event loop's clock, by which all waits are calculated; simulation replaces the loop (ADR 0001).

A job reads it some twenty times. `anyio.current_time` looks the library and its loop up on each
call, and takes ten times as long.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Callable


def running_clock() -> Callable[[], float]:
    """The clock of the running event loop: for what belongs to one loop."""
    return get_running_loop().time


def loop_time() -> float:
    """The seconds on the running event loop's clock, which never goes back."""
    return get_running_loop().time()


def has_running_loop() -> bool:
    """Whether an event loop of asyncio runs in this thread."""
    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True
