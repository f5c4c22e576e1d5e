"""
Which waiting jobs may start now, and why the others wait. No clock, no I/O.

Jobs with the same claim are alike to the limits, so they wait in one lane; a decision looks at the
head of each lane only, and its cost does not grow with the number of jobs.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from orchestrator.scheduler.limits import Blocked, Claim, Usage


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """
    A job that waits for its next attempt; the order is the order of starts.

    Attributes:
        rank: minus the priority, so that the smaller one is first.
        seq: the job's place in the spec.
        number: of the attempt that it waits for.
        claim: what its run will hold.
        ready_at: not before this time, on the monotonic clock.
    """

    rank: int
    seq: int
    number: int
    claim: Claim = field(compare=False)
    ready_at: float = field(default=0.0, compare=False)


class WaitingQueue:
    """
    The waiting jobs of a batch.
    """

    def __init__(self) -> None:
        self._lanes: dict[Claim, list[Waiting]] = {}
        self._later: list[tuple[float, Waiting]] = []
        self._blocked: dict[Claim, Blocked] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values())) + len(self._later)

    def add(self, waiting: Waiting, now: float) -> None:
        """
        Puts a job in; it may be admitted from its `ready_at` on.
        """
        if waiting.ready_at > now:
            heapq.heappush(self._later, (waiting.ready_at, waiting))
        else:
            heapq.heappush(self._lanes.setdefault(waiting.claim, []), waiting)

    def admit(self, usage: Usage, now: float) -> list[Waiting]:
        """
        Takes out the jobs that may start now, in the order of their starts.

        Their claims are taken from `usage`. A job that does not fit lets later ones by.
        """
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[1], now)
        self._blocked.clear()
        heads = [(lane[0], lane) for lane in self._lanes.values()]
        heapq.heapify(heads)
        admitted = []
        while heads:
            waiting, lane = heads[0]
            blocked = usage.blocked(waiting.claim, now)
            if blocked is not None:
                self._blocked[waiting.claim] = blocked
                heapq.heappop(heads)
                continue
            usage.take(waiting.claim, now)
            admitted.append(heapq.heappop(lane))
            if lane:
                heapq.heapreplace(heads, (lane[0], lane))
            else:
                heapq.heappop(heads)
                del self._lanes[waiting.claim]
        return admitted

    def next_wake(self) -> float | None:
        """
        When time alone may let another job start; None when a run must end first.
        """
        times = [blocked.until for blocked in self._blocked.values() if blocked.until is not None]
        if self._later:
            times.append(self._later[0][0])
        return min(times, default=None)

    def reasons(self) -> dict[str, int]:
        """
        Why jobs wait, as the last decision found, with the number of jobs that each reason holds.
        """
        reasons = {
            blocked.reason: len(self._lanes[claim])
            for claim, blocked in self._blocked.items()
            if claim in self._lanes
        }
        if self._later:
            reasons["waits for its next attempt"] = len(self._later)
        return reasons
