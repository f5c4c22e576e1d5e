"""
Adoptable runs: another process started them, for attempts that have no run here. No I/O.

An adoptable run uses the limits from the moment it is known. So it holds a claim until it ends or
its attempt adopts it. Its money stays reserved until its attempt adopts it, or it is an orphan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.model.attempts import Place
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.decide.usage import Usage


@dataclass(slots=True, eq=False)
class AdoptableRun:
    """
    A run that an attempt may adopt.

    Attributes:
        run: as it was first seen.
        demand: of its job.
        is_live: whether it had not ended when it was last read.
        is_handed_over: whether its attempt has begun and is about to adopt it.
        claim: what it holds of the limits, only money once it has ended; None while it holds
            nothing.
    """

    mark: Mark
    run: Run
    demand: Demand
    is_live: bool
    is_handed_over: bool = False
    claim: Claim | None = None

    @property
    def holds_slot(self) -> bool:
        """Whether it holds a slot, which it releases when it ends."""
        return self.is_live and self.claim is not None


class AdoptableRuns:
    """
    The adoptable runs of a batch, by the attempts that may adopt them.

    Attributes:
        added: called with each new one and the attempt that may adopt it.
    """

    def __init__(self) -> None:
        self._adoptable: dict[Place, AdoptableRun] = {}
        self._usage: Usage | None = None
        self._claim_of: Callable[[Demand], Claim] | None = None
        self.added: Callable[[Place, AdoptableRun], None] = lambda _place, _found: None

    def __contains__(self, place: Place) -> bool:
        return place in self._adoptable

    def in_order(self) -> list[tuple[Place, AdoptableRun]]:
        """Those whose attempts have not begun, with their attempts, in the order of their jobs."""
        waiting = [one for one in self._adoptable.items() if not one[1].is_handed_over]
        return sorted(waiting, key=lambda one: one[0])

    def hold_in(self, usage: Usage, claim_of: Callable[[Demand], Claim]) -> None:
        """
        Lets all adoptable runs hold their claims, also those that are found later.

        Args:
            claim_of: what a run of a job claims.
        """
        self._usage, self._claim_of = usage, claim_of
        for found in self._adoptable.values():
            self._hold(found)

    def add(self, place: Place, mark: Mark, run: Run, demand: Demand) -> None:
        """Keeps a run for its attempt."""
        found = AdoptableRun(mark, run, demand, is_live=not run.is_terminal)
        self._adoptable[place] = found
        self._hold(found)
        self.added(place, found)

    @property
    def hold_slots(self) -> bool:
        """Whether any of them holds a slot."""
        return any(found.holds_slot for found in self._adoptable.values())

    def note_end(self, found: AdoptableRun) -> None:
        """Releases the slot of a run that has ended; its money stays reserved."""
        if self._usage is not None and found.is_live and found.claim is not None:
            self._usage.release(found.claim, keeps_money=True)
        found.is_live = False

    def hand_over(self, place: Place) -> bool:
        """Releases what a run holds, because its attempt adopts it; False when there is no run."""
        found = self._adoptable.get(place)
        if found is None:
            return False
        found.is_handed_over = True
        self.release(found)
        return True

    def take(self, place: Place) -> AdoptableRun | None:
        """Removes a run, which holds its claim until `release` is called."""
        return self._adoptable.pop(place, None)

    def release(self, found: AdoptableRun) -> None:
        """Releases all that a run holds."""
        claim, found.claim = found.claim, None
        if self._usage is None or claim is None:
            return
        # A run that has ended has released its slot already, and holds only its money.
        if found.is_live:
            self._usage.release(claim)
        elif self._usage.budget is not None:
            self._usage.budget.release(claim.reserve_usd)

    def _hold(self, found: AdoptableRun) -> None:
        if self._usage is None or self._claim_of is None:
            return
        claim = self._claim_of(found.demand)
        # A rule may have given the run more memory than its job asks for.
        memory = found.run.memory_mbytes or claim.memory_mbytes
        found.claim = replace(claim, memory_mbytes=memory)
        self._usage.hold(found.claim)
        if not found.is_live:
            self._usage.release(found.claim, keeps_money=True)
