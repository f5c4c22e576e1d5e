"""
The ended runs of a batch on the way to their downloads.

A run waits until the platform has counted what it made, then for one of the downloads at once. What
waits is not a task.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from orchestrator.scheduler.decide.pending_counts import PendingCounts

MOST_READY = 256
"""
So many runs may wait for a free download before starts wait for the downloads: too much would be
paid before its results are judged.
"""


class Collectable(Protocol):
    """An attempt whose run has ended."""

    async def collect(self) -> None:
        """Collects what the run made, and ends the attempt."""


class Downloads:
    """
    Collects ended runs, so many at once.

    Args:
        most: downloads at once.
        has_room: called when starts need not wait for the downloads any more.
    """

    def __init__(self, most: int, has_room: Callable[[], None]) -> None:
        self._most = most
        self._has_room = has_room
        self._pending = PendingCounts[Collectable]()
        self._ready: deque[Collectable] = deque()
        self._active = 0
        self._is_stopped = False

    @property
    def pending(self) -> int:
        """How many ended runs wait until the platform has counted their items."""
        return len(self._pending)

    @property
    def is_behind(self) -> bool:
        """Whether so many runs wait for a download that no other may be started."""
        return len(self._ready) >= MOST_READY

    def add(self, ended: Collectable, due_at: float, now: float) -> None:
        """
        Adds an ended run.

        Args:
            due_at: when its items are counted, on the monotonic clock.
        """
        if due_at <= now:
            self._ready.append(ended)
        else:
            self._pending.add(ended, due_at)

    def make_ready(self, now: float) -> int:
        """Takes the runs whose items are counted by now; returns how many downloads may begin."""
        due = list(self._pending.due(now))
        self._ready.extend(due)
        return min(len(due), self._most - self._active)

    def next_due(self) -> float | None:
        """When the items of the next run are counted; None when no run waits for that."""
        return self._pending.next_due()

    def stop(self) -> None:
        """Begins no further download."""
        self._is_stopped = True

    async def work(self, most: float = math.inf) -> None:
        """Collects ended runs until none is ready, or so many; within the downloads at once."""
        if self._active >= self._most:
            return
        self._active += 1
        try:
            while self._ready and most > 0 and not self._is_stopped:
                ended = self._ready.popleft()
                if len(self._ready) == MOST_READY - 1:
                    self._has_room()
                await ended.collect()
                most -= 1
        finally:
            self._active -= 1
