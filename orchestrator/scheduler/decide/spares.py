"""
Spare runs: another process started them, for attempts that this one has not begun. No I/O.

A spare run uses the limits from the moment it is known. So it holds a share of them until it ends
or its attempt takes it. Its money stays reserved until its attempt takes it, or it is an orphan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.limits import Claim, Usage

Place = tuple[int, int]
"""
A job's place in the spec, and the number of the attempt.
"""


@dataclass(slots=True, eq=False)
class Spare:
    """
    A spare run.

    Attributes:
        run: as it was first seen.
        demand: of its job.
        is_live: whether it was going when last heard of.
        is_handed_over: whether its attempt has begun and is about to take it.
        claim: what it holds of the limits, without its room once it has ended; None while it holds
            nothing.
    """

    mark: Mark
    run: Run
    demand: Demand
    is_live: bool
    is_handed_over: bool = False
    claim: Claim | None = None

    @property
    def holds_room(self) -> bool:
        """Whether it holds room that it gives back when it ends."""
        return self.is_live and self.claim is not None


class Spares:
    """
    The spare runs of a batch, by the attempts that may take them.

    Attributes:
        added: called with each new one and the attempt that may take it.
    """

    def __init__(self) -> None:
        self._spares: dict[Place, Spare] = {}
        self._usage: Usage | None = None
        self._claim_of: Callable[[Demand], Claim] | None = None
        self.added: Callable[[Place, Spare], None] = lambda _place, _spare: None

    def __contains__(self, place: Place) -> bool:
        return place in self._spares

    def in_order(self) -> list[tuple[Place, Spare]]:
        """Those whose attempts have not begun, with their attempts, in the order of their jobs."""
        waiting = [one for one in self._spares.items() if not one[1].is_handed_over]
        return sorted(waiting, key=lambda one: one[0])

    def hold_in(self, usage: Usage, claim_of: Callable[[Demand], Claim]) -> None:
        """
        Lets all spare runs hold their shares, and those that are found later.

        Args:
            claim_of: what a run of a job claims.
        """
        self._usage, self._claim_of = usage, claim_of
        for spare in self._spares.values():
            self._hold(spare)

    def add(self, place: Place, mark: Mark, run: Run, demand: Demand) -> None:
        """Keeps a run for its attempt."""
        spare = Spare(mark, run, demand, is_live=not run.is_terminal)
        self._spares[place] = spare
        self._hold(spare)
        self.added(place, spare)

    @property
    def hold_room(self) -> bool:
        """Whether any of them does."""
        return any(spare.holds_room for spare in self._spares.values())

    def note_end(self, spare: Spare) -> None:
        """Gives back the room of a run that has ended; its money stays reserved."""
        if self._usage is not None and spare.is_live and spare.claim is not None:
            self._usage.give(spare.claim, keeps_money=True)
        spare.is_live = False

    def hand_over(self, place: Place) -> bool:
        """Gives back what a run holds, as its attempt takes it now; False when there is none."""
        spare = self._spares.get(place)
        if spare is None:
            return False
        spare.is_handed_over = True
        self.release(spare)
        return True

    def take(self, place: Place) -> Spare | None:
        """Removes a run, which holds its share until `release` is called."""
        return self._spares.pop(place, None)

    def release(self, spare: Spare) -> None:
        """Gives back all that a run holds."""
        claim, spare.claim = spare.claim, None
        if self._usage is None or claim is None:
            return
        if spare.is_live:
            self._usage.give(claim)
        elif self._usage.budget is not None:
            self._usage.budget.release(claim.reserve_usd)

    def _hold(self, spare: Spare) -> None:
        if self._usage is None or self._claim_of is None:
            return
        claim = self._claim_of(spare.demand)
        memory = spare.run.memory_mbytes or claim.memory_mbytes
        spare.claim = replace(claim, memory_mbytes=memory)
        self._usage.hold(spare.claim)
        if not spare.is_live:
            self._usage.give(spare.claim, keeps_money=True)
