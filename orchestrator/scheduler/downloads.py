"""
The ended runs of a batch that wait for their downloads.

A run waits until the platform has counted its items, then until one of the downloads is free. A run
that waits has no task.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from orchestrator.scheduler.decide.pending_counts import PendingCounts

MOST_READY = 256
"""
When this many runs wait for a free download, no other run is started: otherwise too much would be
paid for before the first results are judged.
"""


class Collectable(Protocol):
    """An attempt whose run has ended."""

    async def collect(self) -> None:
        """Collects what the run made, and ends the attempt."""


class Downloads:
    """
    Collects ended runs, with a limit on downloads at once.

    Args:
        most: downloads at once.
        resume_starts: called when starts need not wait for the downloads any more.
    """

    def __init__(self, most: int, resume_starts: Callable[[], None]) -> None:
        self._most = most
        self._resume_starts = resume_starts
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
        """Whether too many runs wait for a download to start another one."""
        return len(self._ready) >= MOST_READY

    @property
    def why_behind(self) -> str:
        """What starts wait for while `is_behind`, for people; empty otherwise."""
        if not self.is_behind:
            return ""
        return f"{len(self._ready)} results wait for one of {self._most} downloads (max_downloads)"

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
        """Takes the runs whose items are counted; returns how many more downloads may begin."""
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
        """Collects ended runs until none is ready, or at most this many."""
        # An active download takes this run when it is free.
        if self._active >= self._most:
            return
        self._active += 1
        try:
            while self._ready and most > 0 and not self._is_stopped:
                ended = self._ready.popleft()
                # Only now `is_behind` has changed, so starts need not be tried after each download.
                if len(self._ready) == MOST_READY - 1:
                    self._resume_starts()
                await ended.collect()
                most -= 1
        finally:
            self._active -= 1
