"""
The money of a batch: what is spent, and what runs may still cost. No clock, no I/O.

Money is reserved before a start is intended. When the run has ended, the larger of its reservation
and its reported cost counts until the platform's figure is final. So spent and reserved money
together never exceed the budget.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.model.ids import RunId
from orchestrator.model.money import money

NOTHING = Decimal(0)


@dataclass(slots=True, kw_only=True)
class PendingCost:
    """
    A run that has ended, whose cost is not final.

    Attributes:
        reserved_usd: the most that it may have cost.
        reported_usd: what the platform has reported so far.
        final_at: when the platform's figure is final, on the monotonic clock.
    """

    reserved_usd: Decimal
    reported_usd: Decimal
    final_at: float

    @property
    def counts_usd(self) -> Decimal:
        """What counts until the figure is final."""
        return max(self.reserved_usd, self.reported_usd)


class Budget:
    """
    The budget of one batch.

    Args:
        most_usd: `max_cost_usd`.
        final_after_secs: how long after the end of a run its cost is final.
    """

    def __init__(self, most_usd: Decimal, final_after_secs: float) -> None:
        self.most_usd = most_usd
        self._final_after_secs = final_after_secs
        # Sums, because each decision reads them, and a batch may have many thousands of runs.
        self._live = NOTHING
        self._lost = NOTHING
        self._final: dict[RunId, Decimal] = {}
        self._final_usd = NOTHING
        self._pending: dict[RunId, PendingCost] = {}
        self._pending_usd = NOTHING
        self._reported_usd = NOTHING

    @property
    def spent_usd(self) -> Decimal:
        """What the platform has reported of all runs that have ended."""
        return self._final_usd + self._lost + self._reported_usd

    @property
    def reserved_usd(self) -> Decimal:
        """What live runs, and ended ones whose cost is not final, may cost beyond that."""
        return self._live + self._pending_usd - self._reported_usd

    def blocked(self, amount_usd: Decimal, *, is_our_cap: bool = False) -> str | None:
        """
        Why this amount cannot be reserved now; None when it can.

        Args:
            is_our_cap: whether we chose it as the cap of the run, and not the user.
        """
        if self.spent_usd + self.reserved_usd + amount_usd <= self.most_usd:
            return None
        why = (
            f"{may_cost(amount_usd, is_our_cap=is_our_cap)}; of the budget of "
            f"{money(self.most_usd)}, {money(self.spent_usd)} are spent and "
            f"{money(self.reserved_usd)} are reserved"
        )
        if self.final_costs_may_help(amount_usd):
            return f"{why}; it waits until the costs of runs that have ended are final"
        return why

    def final_costs_may_help(self, amount_usd: Decimal) -> bool:
        """Whether this amount could be reserved if the costs of ended runs were final."""
        # The best case: the ended runs cost no more than what is reported now.
        fits = self.spent_usd + self._live + amount_usd <= self.most_usd
        return fits and bool(self._pending)

    def reserve(self, amount_usd: Decimal) -> None:
        """Sets aside what a run may cost."""
        self._live += amount_usd

    def release(self, amount_usd: Decimal) -> None:
        """Releases a reservation: there is no run."""
        self._live -= amount_usd

    def lost(self, amount_usd: Decimal) -> None:
        """Counts a reservation as spent, because the cost of its run stays unknown."""
        self._live -= amount_usd
        self._lost += amount_usd

    def ended(
        self, run_id: RunId, amount_usd: Decimal, reported_usd: Decimal | None, now: float
    ) -> None:
        """Notes that a run has ended, with the amount that was reserved for it."""
        self._live -= amount_usd
        self.add_ended(run_id, amount_usd, reported_usd, now + self._final_after_secs)

    def add_ended(
        self, run_id: RunId, amount_usd: Decimal, reported_usd: Decimal | None, final_at: float
    ) -> None:
        """
        Notes a run that ended without a reservation here: an earlier process held it, or none.

        A resurrected run may cost what was counted for it before, and this amount more.
        """
        before = self._final.pop(run_id, NOTHING)
        self._final_usd -= before
        reported = max(reported_usd or NOTHING, before)
        earlier = self._pending.get(run_id)
        if earlier is not None:
            self._forget(run_id)
            before, reported = earlier.reserved_usd, max(reported, earlier.reported_usd)
        run = PendingCost(
            reserved_usd=before + amount_usd, reported_usd=reported, final_at=final_at
        )
        self._pending[run_id] = run
        self._pending_usd += run.counts_usd
        self._reported_usd += run.reported_usd

    def orphan(
        self, run_id: RunId, reserved_usd: Decimal | None, reported_usd: Decimal | None, now: float
    ) -> None:
        """Counts a run that belongs to no attempt, once."""
        if run_id not in self._pending and run_id not in self._final:
            self.add_ended(
                run_id, reserved_usd or NOTHING, reported_usd, now + self._final_after_secs
            )

    def set_final(self, run_id: RunId, cost_usd: Decimal | None) -> None:
        """
        Replaces the reservation of a run by what it has cost.

        Args:
            cost_usd: the final total of the run; None when the platform does not report it: then
                what counted so far stays.
        """
        run = self._pending.get(run_id)
        if run is None:
            return
        self._forget(run_id)
        self._final[run_id] = run.counts_usd if cost_usd is None else cost_usd
        self._final_usd += self._final[run_id]

    def due(self, now: float) -> list[RunId]:
        """The runs whose costs are final by now, and have not been read yet."""
        return [run_id for run_id, run in self._pending.items() if run.final_at <= now]

    def next_due(self) -> float | None:
        """When the next cost is final; None when no run waits for that."""
        return min((run.final_at for run in self._pending.values()), default=None)

    def _forget(self, run_id: RunId) -> None:
        run = self._pending.pop(run_id)
        self._pending_usd -= run.counts_usd
        self._reported_usd -= run.reported_usd


def may_cost(amount_usd: Decimal, *, is_our_cap: bool) -> str:
    """The most that a run may cost, and who chose that."""
    ours = " (a cap that we chose, because the spec gives no max_total_charge_usd)"
    return f"may cost {money(amount_usd)}{ours if is_our_cap else ''}"


def least_cap_in(message: str, refused_usd: Decimal | None) -> Decimal:
    """The least cap that an Actor accepts, as its refusal says; else twice the refused one."""
    refused = refused_usd or Decimal(0)
    amounts = [Decimal(amount) for amount in re.findall(r"\$\s*(\d{1,9}(?:\.\d{1,9})?)", message)]
    # Twice the cap reaches any least cap soon, and refused starts cost nothing.
    return max([amount for amount in amounts if amount > refused], default=2 * refused)
