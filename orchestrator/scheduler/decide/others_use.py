"""
What other processes that work on the batch leave to this one. No clock, no I/O.

The ledger refuses a start with which all processes together would exceed a limit. This remembers
it, so that not every waiting job is tried in vain, and leaves others their share of what is scarce.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.scheduler.decide.limits import MEMORY, RUNS, Blocked, Claim

REASON = "other processes of this batch wait for their share of the {}"


@dataclass(slots=True)
class OthersUse:
    """
    What other processes leave; with none, everything.

    Attributes:
        most_runs, most_mbytes: the share of this process, while others want theirs; None while
            they do not. One run may always be started.
        refused: the limits that the ledger found used up, each until it is tried again.
    """

    most_runs: int | None = None
    most_mbytes: int | None = None
    refused: dict[str, Blocked] = field(default_factory=dict)

    def full(self, runs: int, now: float) -> Blocked | None:
        """Why this process may start no run besides these; None when it may."""
        if self.most_runs is not None and runs >= max(1, self.most_runs):
            return Blocked(reason=REASON.format("runs"), limits=RUNS)
        return self._refused("runs", now) if self.refused else None

    def blocked(self, claim: Claim, mbytes: int, now: float) -> Blocked | None:
        """Why a claim cannot be taken while this process uses so much memory; None if it can."""
        most = self.most_mbytes
        if most is not None and mbytes and mbytes + claim.memory_mbytes > most:
            return Blocked(reason=REASON.format("memory"), limits=MEMORY)
        for limit in list(self.refused):
            found = self._refused(limit, now)
            if found is not None and claim.uses(limit):
                return found
        return None

    def _refused(self, limit: str, now: float) -> Blocked | None:
        found = self.refused.get(limit)
        if found is not None and found.until is not None and now >= found.until:
            del self.refused[limit]
            return None
        return found
