"""
Runs that have ended and whose items the platform has not counted yet. No clock, no I/O.

Thousands may wait at once, so that each is a small tuple in a heap: what else is known of it is
read from the ledger when its time has come.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.scheduler.decide.queue import Waiting


class EndedRun(NamedTuple):
    """
    A run that has ended and is to be collected.

    Attributes:
        due_at: when its download may begin, on the monotonic clock.
        seq, number: its job and the attempt.
        aborted_because: why this process aborted it; None when it did not.
        waiting: its job's place in the queue.
    """

    due_at: float
    seq: int
    number: int
    aborted_because: str | None
    waiting: Waiting


class Settling:
    """The ended runs whose downloads may not begin yet, the next one first."""

    def __init__(self) -> None:
        self._runs: list[EndedRun] = []

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: EndedRun) -> None:
        """Adds a run."""
        heapq.heappush(self._runs, run)

    def due(self, now: float) -> Iterator[EndedRun]:
        """Removes and returns those whose time has come."""
        while self._runs and self._runs[0].due_at <= now:
            yield heapq.heappop(self._runs)

    def next_due(self) -> float | None:
        """When the next one may be collected; None when none waits."""
        return self._runs[0].due_at if self._runs else None
