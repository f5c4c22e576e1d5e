"""
Notices exchanges that are late, with one timer for all of them.

A timer for each request would be an eighth of what a small request costs. Deadlines here are tens
of seconds, so it is enough to look at all exchanges a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

LOOK_EVERY_SECS = 0.2


class Timer(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """Takes it back."""


class Loop(Protocol):
    """What is needed of the event loop."""

    def time(self) -> float:
        """Its clock, in seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Calls a function after a time."""
        ...


class Watched(Protocol):
    """
    Something that should be done by a time.

    Attributes:
        due_at: by the loop's clock.
    """

    due_at: float

    def look(self, now: float) -> None:
        """Told that `due_at` has passed; moves it, or comes to its end."""


class Watchman:
    """Looks after what is under way; its timer runs only while there is something."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._watched: set[Watched] = set()
        self._timer: Timer | None = None

    def add(self, watched: Watched) -> None:
        """Begins to look after something; it is noticed up to `LOOK_EVERY_SECS` after it is due."""
        self._watched.add(watched)
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_EVERY_SECS, self._look)

    def discard(self, watched: Watched) -> None:
        """Stops looking after something, also when it was not looked after."""
        self._watched.discard(watched)

    def close(self) -> None:
        """Stops altogether."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        for watched in [each for each in self._watched if each.due_at <= now]:
            watched.look(now)
        again = bool(self._watched)
        self._timer = self._loop.call_later(LOOK_EVERY_SECS, self._look) if again else None
