"""
Ends exchanges whose deadline has passed, with one timer for all of them.

A timer for each request would be an eighth of what a small request costs. Deadlines here are tens
of seconds, so it is enough to check all exchanges a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

CHECK_INTERVAL_SECS = 0.2


class Timer(Protocol):
    """A call at a later time."""

    def cancel(self) -> None:
        """Cancels it."""


class Loop(Protocol):
    """What is needed of the event loop."""

    def time(self) -> float:
        """Its clock, in seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Calls a function after a time."""
        ...


class Timed(Protocol):
    """
    An exchange with a deadline.

    Attributes:
        due_at: by the loop's clock.
    """

    due_at: float

    def check_deadline(self, now: float) -> None:
        """Moves `due_at`, which has passed, or ends the exchange."""


class DeadlineTimer:
    """Checks the exchanges in flight; its timer runs only while there are any."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._timed: set[Timed] = set()
        self._timer: Timer | None = None

    def add(self, timed: Timed) -> None:
        """Adds an exchange; it is checked up to `CHECK_INTERVAL_SECS` after it is due."""
        self._timed.add(timed)
        if self._timer is None:
            self._timer = self._loop.call_later(CHECK_INTERVAL_SECS, self._check)

    def discard(self, timed: Timed) -> None:
        """Removes an exchange, also when it was not added."""
        self._timed.discard(timed)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        # A copy, because an exchange that is ended removes itself from the set.
        for timed in [each for each in self._timed if each.due_at <= now]:
            timed.check_deadline(now)
        again = bool(self._timed)
        self._timer = self._loop.call_later(CHECK_INTERVAL_SECS, self._check) if again else None
