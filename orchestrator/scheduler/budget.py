"""
The money of a batch: what is spent, and what live runs may still cost. No clock, no I/O.

A reservation is taken before a start is intended, and stays until the platform has settled what its
run cost; so that at no instant spent and reserved together pass the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.model.ids import RunId
from orchestrator.model.money import money

SETTLE_SECS = 10.0
"""
How long after the end of a run its cost is still preliminary (API reference, "Get run").
"""

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """
    A run that has ended, whose cost may still change.

    Attributes:
        reserved_usd: what stays reserved for it.
        settles_at: from when on the platform's figure counts, on the monotonic clock.
    """

    run_id: RunId
    reserved_usd: Decimal
    settles_at: float


class Budget:
    """
    The budget of one batch.

    Args:
        most_usd: `max_cost_usd`.
        spent: what runs have cost that are over, by run.
        orphans_usd: what orphan runs have cost.

    Attributes:
        reserved_usd: for runs that go on, and for those whose cost is not settled.
    """

    def __init__(
        self,
        most_usd: Decimal,
        spent: Mapping[RunId, Decimal] | None = None,
        orphans_usd: Decimal = NOTHING,
    ) -> None:
        self.most_usd = most_usd
        self.reserved_usd = NOTHING
        self._costs = dict(spent or {})
        self._spent = sum(self._costs.values(), orphans_usd)
        self._unsettled: dict[RunId, Unsettled] = {}

    @property
    def spent_usd(self) -> Decimal:
        """
        By the runs whose costs are settled.
        """
        return self._spent

    def blocked(self, amount_usd: Decimal) -> str | None:
        """
        Why so much cannot be reserved now; None when it can.
        """
        if self._spent + self.reserved_usd + amount_usd <= self.most_usd:
            return None
        return (
            f"may cost {money(amount_usd)}; of the budget of {money(self.most_usd)}, "
            f"{money(self._spent)} are spent and {money(self.reserved_usd)} are reserved for runs"
        )

    def reserve(self, amount_usd: Decimal) -> None:
        """
        Sets aside what a run may cost.
        """
        self.reserved_usd += amount_usd

    def release(self, amount_usd: Decimal) -> None:
        """
        Takes a reservation back: there is no run.
        """
        self.reserved_usd -= amount_usd

    def ended(
        self, run_id: RunId, amount_usd: Decimal, told_usd: Decimal | None, now: float
    ) -> None:
        """
        Notes that a run has ended, whose cost may still change.

        What was reserved for it, or what it has cost already if that is more, stays reserved until
        its cost is settled.
        """
        before = self._costs.get(run_id, NOTHING)
        reserved = max(amount_usd, (told_usd or NOTHING) - before)
        self.reserved_usd += reserved - amount_usd
        earlier = self._unsettled.pop(run_id, None)
        if earlier is not None:
            # A run that was resurrected before its first cost was settled.
            reserved += earlier.reserved_usd
        self._unsettled[run_id] = Unsettled(
            run_id=run_id, reserved_usd=reserved, settles_at=now + SETTLE_SECS
        )

    def settled(self, run_id: RunId, cost_usd: Decimal | None) -> None:
        """
        Puts what a run has cost in the place of its reservation.

        Args:
            cost_usd: of the run in all; None when the platform does not tell: then the reservation
                counts as spent.
        """
        unsettled = self._unsettled.pop(run_id, None)
        if unsettled is None:
            return
        self.reserved_usd -= unsettled.reserved_usd
        before = self._costs.get(run_id, NOTHING)
        cost = before + unsettled.reserved_usd if cost_usd is None else cost_usd
        self._costs[run_id] = cost
        self._spent += cost - before

    def due(self, now: float) -> list[RunId]:
        """
        The runs whose costs can be settled now.
        """
        return [run.run_id for run in self._unsettled.values() if run.settles_at <= now]

    def next_due(self) -> float | None:
        """
        When the next cost can be settled; None when none is open.
        """
        return min((run.settles_at for run in self._unsettled.values()), default=None)

    def unsettled(self) -> Iterable[Unsettled]:
        """
        The runs that have ended and whose costs are open.
        """
        return self._unsettled.values()
