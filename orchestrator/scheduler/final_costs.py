"""When to ask what ended runs have cost, so that their reservations become free money."""

from __future__ import annotations

from orchestrator.scheduler import housekeeping
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.parts import Parts


class FinalCosts:
    """Asks for the final costs of ended runs while jobs wait for money."""

    def __init__(self, parts: Parts, usage: Usage, queue: JobQueue) -> None:
        self._parts = parts
        self._usage = usage
        self._queue = queue
        self._is_asking = False

    @property
    def is_awaited(self) -> bool:
        """Whether jobs wait for a cost that is asked for, or will be."""
        return self._is_asking or self.next_due() is not None

    def next_due(self) -> float | None:
        """When the next cost that jobs wait for is final; None while it is asked for."""
        budget = self._usage.budget
        if budget is None or self._is_asking or not self._queue.waits_for_costs:
            return None
        return budget.next_due()

    def begin(self, now: float) -> bool:
        """Whether a cost is due; then the caller calls `ask`."""
        due = self.next_due()
        self._is_asking = self._is_asking or (due is not None and due <= now)
        return due is not None and due <= now

    async def ask(self) -> None:
        """
        Replaces what was reserved for ended runs by what they have cost.

        Raises:
            PlatformError: the platform cannot be asked.
        """
        budget = self._usage.budget
        assert budget is not None  # noqa: S101 - only called with one
        try:
            await housekeeping.take_final_costs(self._parts, budget)
        finally:
            self._is_asking = False
        self._usage.gate.changed()
