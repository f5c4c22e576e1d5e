"""
What is in use of the limits of a batch, as plain state.

A claim is taken before a start is intended and released when the run has ended, so that never more
is in use than is allowed. `now` is always the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable

from orchestrator.errors import OrchestratorError
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.capacity import CapacityEstimate, Resource
from orchestrator.scheduler.decide.limits import (
    MEMORY,
    MONEY,
    RUNS,
    WINDOW_SECS,
    Blocked,
    Claim,
    Limits,
)
from orchestrator.scheduler.decide.others_use import OthersUse
from orchestrator.scheduler.decide.start_gate import Gate


class Usage:
    """
    What is in use of the limits.

    Args:
        budget: None where money does not matter.

    Attributes:
        limits: may be replaced during the batch; what is in use already stays.
        runs, memory_mbytes: in use now.
        gate: holds starts back because of how earlier ones went.
        capacity: how much the account has room for.
        others: what other processes that work on the batch leave to this one.
    """

    def __init__(self, limits: Limits, budget: Budget | None = None) -> None:
        self.limits = limits
        self.budget = budget
        self.runs = 0
        self.memory_mbytes = 0
        self.others = OthersUse()
        self.gate = Gate()
        self.capacity = CapacityEstimate()
        self._pool_runs: Counter[str] = Counter()
        self._pool_starts: defaultdict[str, deque[float]] = defaultdict(deque)

    def blocked(self, claim: Claim, now: float) -> Blocked | None:
        """Why a claim cannot be taken now; None when it can."""
        return self.blocked_beside(claim, now, self.full(now))

    def blocked_beside(self, claim: Claim, now: float, full: Blocked | None) -> Blocked | None:
        """As `blocked`, where it is known what `full` says: that holds for every claim."""
        paused = self.gate.blocked(claim.target, now)
        if paused is not None:
            return Blocked(reason=paused.reason, until=paused.until)
        return (
            # Before the others: `JobQueue.admit` then stops.
            full
            or self.others.blocked(claim, self.memory_mbytes, now)
            or self._blocked_by_memory(claim, now)
            or self._blocked_by_pools(claim, now)
            or self._blocked_by_budget(claim)
        )

    def full(self, now: float) -> Blocked | None:
        """Why no run can be started now, with any claim; None when one may."""
        most = self.limits.max_runs
        if self.runs >= most:
            return Blocked(reason=f"{self.runs} of {most} runs are in progress", limits=RUNS)
        others = self.others.full(self.runs, now)
        if others is not None:
            return others
        until = self.capacity.blocked(self.runs + 1, Resource.RUNS, now)
        if until is None:
            return None
        return Blocked(
            reason=f"the account has no capacity for more than these {self.runs} runs, because "
            "others use it too; it is tried again",
            until=until,
            limits=RUNS,
        )

    def take(self, claim: Claim, now: float) -> None:
        """Takes a claim for a start that is about to be intended."""
        self.hold(claim)
        self.gate.take(claim.target)
        # After `hold`: a probe for capacity counts what is in use with this start.
        self.capacity.take(self.runs, Resource.RUNS, now)
        self.capacity.take(self.memory_mbytes, Resource.MEMORY, now)
        for name in claim.pools:
            self._pool_starts[name].append(now)

    def take_back_start(self, claim: Claim) -> None:
        """Takes back what `take` has counted of a start that was never intended."""
        for name in claim.pools:
            if self._pool_starts[name]:
                self._pool_starts[name].pop()

    def count_start(self, pools: Iterable[str], at: float) -> None:
        """
        Counts a start of an earlier process, in the order of time.

        Args:
            at: on the monotonic clock.
        """
        for name in pools:
            self._pool_starts[name].append(at)

    def hold(self, claim: Claim) -> None:
        """Takes a claim for a run that was started already, even beyond the limits."""
        self.runs += 1
        self.memory_mbytes += claim.memory_mbytes
        for name in claim.pools:
            self._pool_runs[name] += 1
        if self.budget is not None:
            self.budget.reserve(claim.reserve_usd)

    def release(self, claim: Claim, *, keeps_money: bool = False) -> None:
        """
        Releases a claim; its run has ended, or was never started.

        Args:
            keeps_money: whether a run was started: then its money stays reserved, until
                `Budget.set_final` is called.
        """
        self.runs -= 1
        self.memory_mbytes -= claim.memory_mbytes
        for name in claim.pools:
            self._pool_runs[name] -= 1
        if self.budget is not None and not keeps_money:
            self.budget.release(claim.reserve_usd)
        self.assert_consistent()

    def refused(self, resource: Resource, now: float, jitter: float) -> None:
        """Notes that the platform had no capacity for a start, whose claim has been released."""
        in_use = self.runs if resource is Resource.RUNS else self.memory_mbytes
        self.capacity.refused(in_use, resource, now, jitter)

    def started(self, now: float) -> None:
        """Notes that the platform has accepted a start with what is in use now."""
        was_probing = self.capacity.is_probing
        self.capacity.started(self.runs, Resource.RUNS, now)
        self.capacity.started(self.memory_mbytes, Resource.MEMORY, now)
        if was_probing:
            self.gate.changed()

    def assert_consistent(self) -> None:
        """Raises `OrchestratorError` when more was released than taken."""
        if self.runs < 0 or self.memory_mbytes < 0 or min(self._pool_runs.values(), default=0) < 0:
            raise OrchestratorError("a claim was released twice")

    def _blocked_by_memory(self, claim: Claim, now: float) -> Blocked | None:
        wanted, most = claim.memory_mbytes, self.limits.max_memory_mbytes
        if most is not None and self.memory_mbytes + wanted > most:
            return Blocked(
                reason=f"needs {wanted} MB, and {self.memory_mbytes} of {most} MB are in use",
                limits=MEMORY,
            )
        until = self.capacity.blocked(self.memory_mbytes + wanted, Resource.MEMORY, now)
        if until is None:
            return None
        return Blocked(
            reason=f"needs {wanted} MB, and the account has no capacity for more than "
            f"these {self.memory_mbytes} MB, because others use it too; it is tried again",
            until=until,
            limits=MEMORY,
        )

    def _blocked_by_pools(self, claim: Claim, now: float) -> Blocked | None:
        for name in claim.pools:
            pool, runs = self.limits.pool(name), self._pool_runs[name]
            if pool.max_runs is not None and runs >= pool.max_runs:
                return Blocked(
                    reason=f"pool {name} has {runs} of {pool.max_runs} runs", limits=_limit(name)
                )
            starts = self._pool_starts[name]
            if pool.starts_per_minute is None:
                continue
            while starts and starts[0] + WINDOW_SECS <= now:
                starts.popleft()
            if len(starts) >= pool.starts_per_minute:
                return Blocked(
                    reason=f"pool {name} has had {len(starts)} of {pool.starts_per_minute} starts "
                    "in the last minute",
                    until=starts[0] + WINDOW_SECS,
                    limits=_limit(name),
                )
        return None

    def _blocked_by_budget(self, claim: Claim) -> Blocked | None:
        amount = claim.reserve_usd
        if self.budget is None or not amount:
            return None
        reason = self.budget.blocked(amount, is_our_cap=not claim.caps_itself)
        if reason is None:
            return None
        may_help = self.budget.final_costs_may_help(amount)
        return Blocked(reason=reason, limits=MONEY, waits_for_costs=may_help)


def _limit(pool: str) -> frozenset[str]:
    """The limit of a pool, as `Blocked` names it."""
    return frozenset({f"pool {pool}"})
