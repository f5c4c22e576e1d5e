"""
The money of a batch: what is spent, and what runs may still cost. No clock, no I/O.

A reservation is taken before a start is intended. When the run has ended, the larger of its
reservation and its reported cost counts, until the platform's figure is final. So spent and
reserved money together never exceed the budget.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.model.ids import RunId
from orchestrator.model.money import money

NOTHING = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Unsettled:
    """
    A run that has ended, whose cost is not final.

    Attributes:
        reserved_usd: the most that it may have cost.
        told_usd: what the platform has reported so far.
        settles_at: from when on the platform's figure is final, on the monotonic clock.
    """

    reserved_usd: Decimal
    told_usd: Decimal
    settles_at: float

    @property
    def counts_usd(self) -> Decimal:
        """What counts until the figure is final."""
        return max(self.reserved_usd, self.told_usd)


class Budget:
    """
    The budget of one batch.

    Args:
        most_usd: `max_cost_usd`.
        settle_secs: how long after the end of a run its cost is final.
    """

    def __init__(self, most_usd: Decimal, settle_secs: float) -> None:
        self.most_usd = most_usd
        self._settle_secs = settle_secs
        self._live = NOTHING
        self._lost = NOTHING
        self._final: dict[RunId, Decimal] = {}
        self._final_usd = NOTHING
        self._unsettled: dict[RunId, Unsettled] = {}
        self._unsettled_usd = NOTHING
        self._told_usd = NOTHING

    @property
    def spent_usd(self) -> Decimal:
        """What the platform has reported of all runs that have ended."""
        return self._final_usd + self._lost + self._told_usd

    @property
    def reserved_usd(self) -> Decimal:
        """What live runs, and ended ones whose cost is not final, may cost beyond that."""
        return self._live + self._unsettled_usd - self._told_usd

    def blocked(self, amount_usd: Decimal, *, is_our_cap: bool = False) -> str | None:
        """
        Why so much cannot be reserved now; None when it can.

        Args:
            is_our_cap: whether it is a cap that we choose, and not the user.
        """
        if self.spent_usd + self.reserved_usd + amount_usd <= self.most_usd:
            return None
        why = (
            f"{may_cost(amount_usd, is_our_cap=is_our_cap)}; of the budget of "
            f"{money(self.most_usd)}, {money(self.spent_usd)} are spent and "
            f"{money(self.reserved_usd)} are reserved"
        )
        if self.settling_may_help(amount_usd):
            return f"{why}; it waits until the costs of runs that have ended are final"
        return why

    def settling_may_help(self, amount_usd: Decimal) -> bool:
        """Whether only reservations of ended runs stand in the way of so much."""
        fits = self.spent_usd + self._live + amount_usd <= self.most_usd
        return fits and bool(self._unsettled)

    def reserve(self, amount_usd: Decimal) -> None:
        """Sets aside what a run may cost."""
        self._live += amount_usd

    def release(self, amount_usd: Decimal) -> None:
        """Takes a reservation back: there is no run."""
        self._live -= amount_usd

    def lost(self, amount_usd: Decimal) -> None:
        """Counts a reservation as spent, because nobody will learn what its run costs."""
        self._live -= amount_usd
        self._lost += amount_usd

    def ended(
        self, run_id: RunId, amount_usd: Decimal, told_usd: Decimal | None, now: float
    ) -> None:
        """Notes that a run has ended, for which so much was reserved."""
        self._live -= amount_usd
        self.found_ended(run_id, amount_usd, told_usd, now + self._settle_secs)

    def found_ended(
        self, run_id: RunId, amount_usd: Decimal, told_usd: Decimal | None, settles_at: float
    ) -> None:
        """
        Notes a run that ended without a reservation here: an earlier process held it, or none.

        A run that was resurrected may cost what was counted for it before and this once more.
        """
        before = self._final.pop(run_id, NOTHING)
        self._final_usd -= before
        told = max(told_usd or NOTHING, before)
        earlier = self._unsettled.get(run_id)
        if earlier is not None:
            self._forget(run_id)
            before, told = earlier.reserved_usd, max(told, earlier.told_usd)
        run = Unsettled(reserved_usd=before + amount_usd, told_usd=told, settles_at=settles_at)
        self._unsettled[run_id] = run
        self._unsettled_usd += run.counts_usd
        self._told_usd += run.told_usd

    def orphan(
        self, run_id: RunId, reserved_usd: Decimal | None, told_usd: Decimal | None, now: float
    ) -> None:
        """Counts a run that belongs to no attempt, once."""
        if run_id not in self._unsettled and run_id not in self._final:
            self.found_ended(run_id, reserved_usd or NOTHING, told_usd, now + self._settle_secs)

    def settled(self, run_id: RunId, cost_usd: Decimal | None) -> None:
        """
        Puts what a run has cost in the place of its reservation.

        Args:
            cost_usd: of the run in all, final; None when the platform does not report it: then what
                counted so far counts for good.
        """
        run = self._unsettled.get(run_id)
        if run is None:
            return
        self._forget(run_id)
        self._final[run_id] = run.counts_usd if cost_usd is None else cost_usd
        self._final_usd += self._final[run_id]

    def due(self, now: float) -> list[RunId]:
        """The runs whose costs are final by now, and not asked yet."""
        return [run_id for run_id, run in self._unsettled.items() if run.settles_at <= now]

    def next_due(self) -> float | None:
        """When the next cost is final; None when no run waits for that."""
        return min((run.settles_at for run in self._unsettled.values()), default=None)

    def _forget(self, run_id: RunId) -> None:
        run = self._unsettled.pop(run_id)
        self._unsettled_usd -= run.counts_usd
        self._told_usd -= run.told_usd


def may_cost(amount_usd: Decimal, *, is_our_cap: bool) -> str:
    """The most that a run may cost, and who says so."""
    ours = " (a cap that we chose, since the spec gives no max_total_charge_usd)"
    return f"may cost {money(amount_usd)}{ours if is_our_cap else ''}"


def least_cap_in(message: str, refused_usd: Decimal | None) -> Decimal:
    """
    The least cap that an Actor takes, by the words of its refusal.

    Where they do not say it, twice the refused one.
    """
    refused = refused_usd or Decimal(0)
    amounts = [Decimal(amount) for amount in re.findall(r"\$\s*(\d{1,9}(?:\.\d{1,9})?)", message)]
    return max([amount for amount in amounts if amount > refused], default=2 * refused)
