"""Which runs belong to attempts of this batch, and what they run. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Container, Iterable

from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target
from orchestrator.scheduler.decide.id_map import IdMap


class ClaimedRuns(Container[RunId]):
    """
    The runs that belong to an attempt.

    Args:
        claimed: those that are known already, with their targets.
    """

    def __init__(self, claimed: Iterable[tuple[RunId, Target]] = ()) -> None:
        self._runs = IdMap()
        self._targets: list[Target] = []
        self._numbers: dict[Target, int] = {}
        for run_id, target in claimed:
            self.add(run_id, target)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._runs

    def add(self, run_id: RunId, target: Target) -> None:
        """Adds a run."""
        number = self._numbers.get(target)
        if number is None:
            number = self._numbers[target] = len(self._targets)
            self._targets.append(target)
        self._runs.add(run_id, number)

    def target_of(self, run_id: str) -> Target | None:
        """What a run runs; None when it belongs to no attempt."""
        number = self._runs.get(run_id)
        return None if number is None else self._targets[number]
