"""Counts the jobs that wait for a start, by what is known of how long their runs take."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from orchestrator.model.jobs import Target


@dataclass(slots=True, kw_only=True)
class WaitingWork:
    """
    The jobs that wait for a start, by what is known of the durations of their runs.

    Attributes:
        expected: those of jobs that ran in an earlier batch, by their places in the spec.
        others: how many jobs did not, by what they run.
    """

    expected: MutableMapping[int, float] = field(default_factory=dict)
    others: Counter[Target] = field(default_factory=Counter)

    def add(self, seq: int, target: Target) -> None:
        """Counts a job that waits for a start."""
        if seq not in self.expected:
            self.others[target] += 1

    def take(self, seq: int, target: Target) -> float | None:
        """Counts a job that waits no more; returns the duration of its run in an earlier batch."""
        expected = self.expected.pop(seq, None)
        if expected is None:
            self.others[target] -= 1
        return expected
