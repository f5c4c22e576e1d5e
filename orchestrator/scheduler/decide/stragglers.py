"""
How long runs of one Actor or task usually take, and from when on one takes far too long.

No clock, no I/O; times are seconds.
"""

from __future__ import annotations

from bisect import insort

from orchestrator.model.jobs import Target

FEWEST = 5
"""So many runs must have succeeded before anything is called usual."""

MOST = 2001
"""So many are remembered of each target; the first ones, which tell enough."""

STRAGGLER_FACTOR = 3.0
STRAGGLER_SECS = 5.0
"""A straggler takes this many times as long as is usual, and this much longer."""


class Kin:
    """The durations of the runs that succeeded in this batch, by target."""

    def __init__(self) -> None:
        self._durations: dict[Target, list[float]] = {}

    def add(self, target: Target, secs: float) -> None:
        """Notes how long a run took that succeeded."""
        durations = self._durations.setdefault(target, [])
        if len(durations) < MOST:
            insort(durations, secs)

    def usual(self, target: Target) -> float | None:
        """The median; None while there are too few."""
        durations = self._durations.get(target, ())
        return durations[len(durations) // 2] if len(durations) >= FEWEST else None

    def straggles_from(self, target: Target) -> float | None:
        """The duration from which on a run is a straggler; None while there are too few."""
        usual = self.usual(target)
        return None if usual is None else max(STRAGGLER_FACTOR * usual, usual + STRAGGLER_SECS)
