"""The limits of a batch, and what one run holds of them, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from orchestrator.model.batches import PoolLimits
from orchestrator.model.jobs import Target
from orchestrator.model.money import money
from orchestrator.scheduler.decide.budget import NOTHING, may_cost

WINDOW_SECS = 60.0
RUNS = frozenset({"runs"})
MEMORY = frozenset({"memory"})
MONEY = frozenset({"money"})
ALL_USE = RUNS | MEMORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    What one run holds of the limits from before its start until its end.

    Attributes:
        target: what it runs; None where that does not matter.
        reserve_usd: the most that it may cost, under a budget.
        caps_itself: whether that is the spec's or the task's own cap, or there is no budget; else
            it is a cap that we chose and send.
    """

    memory_mbytes: int
    pools: tuple[str, ...] = ()
    target: Target | None = None
    reserve_usd: Decimal = NOTHING
    caps_itself: bool = True

    def uses(self, limit: str) -> bool:
        """Whether the run counts against a limit, as `Blocked` names it."""
        if limit == "money":
            return self.reserve_usd > 0
        return limit in ALL_USE or limit.removeprefix("pool ") in self.pools


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """
    Why a claim cannot be taken now.

    Attributes:
        reason: for people, such as `pool shop has 4 of 4 runs`.
        until: when it may be tried again; None when a run must end first.
        limits: the names of the limits that are reached; others that would use them wait for a job
            that was passed often enough.
        waits_for_costs: whether the final costs of ended runs may release enough money.
    """

    reason: str
    until: float | None = None
    limits: frozenset[str] = frozenset()
    waits_for_costs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be in use at once; None means no limit."""

    max_runs: int
    max_memory_mbytes: int | None = None
    pools: Mapping[str, PoolLimits] = field(default_factory=dict)
    max_cost_usd: Decimal | None = None

    def pool(self, name: str) -> PoolLimits:
        """The limits of a pool; none of one that a change has removed, and that jobs still name."""
        return self.pools.get(name, PoolLimits())

    def refusal(self, claim: Claim) -> str | None:
        """Why a claim can never be taken, however long it waits; None when it can."""
        if self.max_memory_mbytes is not None and claim.memory_mbytes > self.max_memory_mbytes:
            return (
                f"needs {claim.memory_mbytes} MB of memory, and at most {self.max_memory_mbytes} "
                "MB may be in use at once"
            )
        if self.max_cost_usd is not None and claim.reserve_usd > self.max_cost_usd:
            return (
                f"{may_cost(claim.reserve_usd, is_our_cap=not claim.caps_itself)}, and "
                "max_cost_usd is "
                f"{money(self.max_cost_usd)} for the whole batch"
            )
        for name in claim.pools:
            if 0 in (self.pool(name).max_runs, self.pool(name).starts_per_minute):
                return f"is in pool {name}, which allows no run at all"
        return None
