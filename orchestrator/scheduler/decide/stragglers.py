"""
How long runs of one Actor or task usually take, and when a run is a straggler.

No clock, no I/O; times are seconds.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Sequence

from orchestrator.model.jobs import Target

FEWEST = 5
"""A usual duration is known when this many runs have succeeded."""

MOST = 2001
"""How many durations of each target are kept: the first ones, which are enough."""

STRAGGLER_FACTOR = 3.0
STRAGGLER_SECS = 5.0
"""A straggler takes this many times the usual duration, and this much longer."""


class UsualDurations:
    """The usual durations of runs in this batch, by target."""

    def __init__(self) -> None:
        self._durations: dict[Target, array[float]] = {}

    def add(self, target: Target, secs: float) -> None:
        """Adds the duration of a run that succeeded."""
        durations = self._durations.get(target)
        if durations is None:
            durations = self._durations[target] = array("d")
        if len(durations) < MOST:
            insort(durations, secs)

    def of(self, target: Target) -> Sequence[float]:
        """The durations of a target, in order."""
        return self._durations.get(target, ())

    def usual(self, target: Target) -> float | None:
        """The median duration; None while too few are known."""
        durations = self.of(target)
        # The median: a few runs that hang would move a mean.
        return durations[len(durations) // 2] if len(durations) >= FEWEST else None


def straggles_from(usual_secs: float) -> float:
    """The duration from which a run is a straggler."""
    more_secs = (STRAGGLER_FACTOR - 1) * usual_secs
    # Not `max`: a call takes ten times as long.
    longer = more_secs if more_secs > STRAGGLER_SECS else STRAGGLER_SECS  # noqa: FURB136
    return usual_secs + longer
