"""
The limits of a batch and what is in use of them, as plain state.

A slot is taken before a start is intended and given back when the run has ended, so that at no
instant more is in use than was allowed. `now` is always the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import OrchestratorError
from orchestrator.model.batches import PoolLimits

WINDOW_SECS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    What one run holds of the limits while it goes on.
    """

    memory_mbytes: int
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """
    Why a claim cannot be taken now.

    Attributes:
        reason: for people, such as `pool shop has 4 of 4 runs`.
        until: when time alone may heal it; None when a run must end first.
    """

    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What may be in use at once; None means no limit.
    """

    max_runs: int
    max_memory_mbytes: int | None = None
    pools: Mapping[str, PoolLimits] = field(default_factory=dict)

    def refusal(self, claim: Claim) -> str | None:
        """
        Why a claim can never be taken, however long it waits; None when it can.
        """
        if self.max_memory_mbytes is not None and claim.memory_mbytes > self.max_memory_mbytes:
            return (
                f"needs {claim.memory_mbytes} MB of memory, and at most {self.max_memory_mbytes} "
                "MB may be in use at once"
            )
        for name in claim.pools:
            if self.pools[name].max_runs == 0 or self.pools[name].starts_per_minute == 0:
                return f"is in pool {name}, which allows no run at all"
        return None


class Usage:
    """
    What is in use of the limits.

    Attributes:
        limits: may be replaced while runs go on; what is in use already stays.
        runs, memory_mbytes: in use now.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.runs = 0
        self.memory_mbytes = 0
        self._pool_runs = dict.fromkeys(limits.pools, 0)
        self._pool_starts: dict[str, deque[float]] = {name: deque() for name in limits.pools}

    def blocked(self, claim: Claim, now: float) -> Blocked | None:
        """
        Why a claim cannot be taken now; None when it can.
        """
        limits = self.limits
        if self.runs >= limits.max_runs:
            return Blocked(reason=f"{self.runs} of {limits.max_runs} runs are going")
        room = limits.max_memory_mbytes
        if room is not None and self.memory_mbytes + claim.memory_mbytes > room:
            return Blocked(
                reason=f"needs {claim.memory_mbytes} MB, and {self.memory_mbytes} of {room} MB "
                "are in use"
            )
        for name in claim.pools:
            blocked = self._blocked_by_pool(name, now)
            if blocked is not None:
                return blocked
        return None

    def take(self, claim: Claim, now: float) -> None:
        """
        Takes a claim for a start that is about to be intended.
        """
        self._hold(claim)
        for name in claim.pools:
            self._pool_starts[name].append(now)

    def hold(self, claim: Claim) -> None:
        """
        Takes a claim for a run that an earlier process started, whatever the limits say.
        """
        self._hold(claim)

    def give(self, claim: Claim) -> None:
        """
        Gives a claim back; its run has ended, or was never started.
        """
        self.runs -= 1
        self.memory_mbytes -= claim.memory_mbytes
        for name in claim.pools:
            self._pool_runs[name] -= 1
        self.assert_consistent()

    def assert_consistent(self) -> None:
        """
        Raises `OrchestratorError` when more was given back than taken.
        """
        if self.runs < 0 or self.memory_mbytes < 0 or min(self._pool_runs.values(), default=0) < 0:
            raise OrchestratorError("a slot was given back twice")

    def _hold(self, claim: Claim) -> None:
        self.runs += 1
        self.memory_mbytes += claim.memory_mbytes
        for name in claim.pools:
            self._pool_runs[name] += 1

    def _blocked_by_pool(self, name: str, now: float) -> Blocked | None:
        pool, runs, starts = self.limits.pools[name], self._pool_runs[name], self._pool_starts[name]
        if pool.max_runs is not None and runs >= pool.max_runs:
            return Blocked(reason=f"pool {name} has {runs} of {pool.max_runs} runs")
        if pool.starts_per_minute is not None:
            while starts and starts[0] <= now - WINDOW_SECS:
                starts.popleft()
            if len(starts) >= pool.starts_per_minute:
                return Blocked(
                    reason=f"pool {name} has had {len(starts)} of {pool.starts_per_minute} starts "
                    "in the last minute",
                    until=starts[0] + WINDOW_SECS,
                )
        return None
