"""
Runs that have ended and whose items the platform has not counted yet. No clock, no I/O.

Thousands may wait at once, so each is one small entry of a heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class PendingCounts(Generic[T]):
    """The ended runs whose downloads may not begin yet, the next one first."""

    def __init__(self) -> None:
        self._runs: list[tuple[float, int, T]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: T, due_at: float) -> None:
        """
        Adds a run.

        Args:
            due_at: when its download may begin, on the monotonic clock.
        """
        # The counter decides between equal times, because the runs cannot be compared.
        heapq.heappush(self._runs, (due_at, next(self._order), run))

    def due(self, now: float) -> Iterator[T]:
        """Removes and returns those whose time has come."""
        while self._runs and self._runs[0][0] <= now:
            yield heapq.heappop(self._runs)[2]

    def next_due(self) -> float | None:
        """When the next one may be collected; None when none waits."""
        return self._runs[0][0] if self._runs else None
