"""
Which waiting jobs may start now, and why the others wait. No clock, no I/O.

Jobs with the same claim wait in one lane. A decision reads the first job of each lane only, so its
cost does not grow with the number of jobs. Later jobs may pass a job that does not fit, but not for
ever: when it was passed often enough, the others wait for it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from itertools import chain, islice

from orchestrator.model.jobs import Target
from orchestrator.model.progress import Wait
from orchestrator.scheduler.decide.lane import Lane, QueuedJob
from orchestrator.scheduler.decide.limits import MONEY, RUNS, Blocked, Claim
from orchestrator.scheduler.decide.usage import Usage

# With few slots, a job that does not fit would otherwise block the others too soon.
FEWEST_PASSES = 20

PACKED_AT_ONCE = 4096
"""So many jobs are sorted and packed together."""


class JobQueue:
    """
    The queued jobs of a batch.

    Attributes:
        gone: the places in the spec of jobs that other processes have taken. They are removed when
            their turn comes, because a search for each of them would cost too much.
    """

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self._lanes: dict[Claim, Lane] = {}
        self._later: list[tuple[float, QueuedJob]] = []
        # The lanes that did not fit in the last decision.
        self._passed: list[Lane] = []
        self._full: Blocked | None = None

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values())) + len(self._later)

    def add(self, waiting: QueuedJob, now: float) -> None:
        """Adds a job; it may be admitted from its `ready_at` on."""
        if waiting.ready_at > now:
            heapq.heappush(self._later, (waiting.ready_at, waiting))
        else:
            self._lane(waiting.claim).add(waiting)

    def fill(self, jobs: Iterable[QueuedJob], now: float) -> None:
        """Adds many jobs, which take little memory then."""
        jobs = iter(jobs)
        while some := list(islice(jobs, PACKED_AT_ONCE)):
            kinds: dict[tuple[Claim, int], list[QueuedJob]] = {}
            for job in some:
                if job.ready_at > now:
                    self.add(job, now)
                else:
                    kinds.setdefault((job.claim, job.rank), []).append(job)
            for (claim, _), alike in kinds.items():
                alike.sort()
                self._lane(claim).pack(alike)

    def _lane(self, claim: Claim) -> Lane:
        return self._lanes.get(claim) or self._lanes.setdefault(claim, Lane())

    def change_claims(self, change: Callable[[Claim], Claim], now: float) -> None:
        """Changes the claims of all jobs."""
        lanes, later = self._lanes, self._later
        self._lanes, self._later = {}, []
        jobs = chain(chain.from_iterable(lanes.values()), (job for _, job in later))
        self.fill((job._replace(claim=change(job.claim)) for job in jobs), now)

    def admit(self, usage: Usage, now: float) -> list[QueuedJob]:
        """
        Removes and returns the jobs that may start now, in the order of their starts.

        `usage` holds their claims from then on.
        """
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[1], now)
        passed = self._forget_decision()
        # A full batch is the usual case, and then no lane is read.
        full = self._full = usage.full(now)
        if full is not None or not self._lanes:
            return []
        heads = self._heads()
        heapq.heapify(heads)
        most_passes = max(FEWEST_PASSES, 2 * usage.limits.max_runs)
        waited_for: dict[str, QueuedJob] = {}
        admitted = []
        while heads:
            waiting, lane = heads[0]
            blocked = _behind(waiting.claim, waited_for) or usage.blocked_beside(
                waiting.claim, now, full
            )
            if blocked is None:
                usage.take(waiting.claim, now)
                full = usage.full(now)
                admitted.append(lane.take())
                for other in passed:
                    other.passes += 1
                lane.passes = 0
                if self.gone:
                    self._drop_gone(lane)
                if lane:
                    heapq.heapreplace(heads, (lane.first, lane))
                else:
                    heapq.heappop(heads)
                    del self._lanes[waiting.claim]
                continue
            if blocked.limits is RUNS:
                # This blocks all jobs behind it too.
                self._full = blocked
                break
            lane.blocked = blocked
            passed.append(lane)
            if lane.passes >= most_passes:
                waited_for.update(dict.fromkeys(blocked.limits, waiting))
            heapq.heappop(heads)
        return admitted

    def _forget_decision(self) -> list[Lane]:
        """Returns the list for the lanes that do not fit in the next one."""
        for lane in self._passed:
            lane.blocked = None
        self._passed = []
        return self._passed

    def _heads(self) -> list[tuple[QueuedJob, Lane]]:
        """The first job of each lane."""
        if self.gone:
            for lane in self._lanes.values():
                self._drop_gone(lane)
            self._lanes = {claim: lane for claim, lane in self._lanes.items() if lane}
        return [(lane.first, lane) for lane in self._lanes.values()]

    def _drop_gone(self, lane: Lane) -> None:
        while lane and lane.first.seq in self.gone:
            lane.take()

    def remove_one(self, seq: int, number: int) -> QueuedJob | None:
        """Removes and returns the job that waits for an attempt; None when none does."""
        # A search through all jobs, which happens only when an adoptable run is found.
        for claim, lane in self._lanes.items():
            job = lane.remove(seq, number)
            if job is not None:
                if not lane:
                    del self._lanes[claim]
                return job
        for one in self._later:
            if (one[1].seq, one[1].number) == (seq, number):
                self._later.remove(one)
                heapq.heapify(self._later)
                return one[1]
        return None

    def remove(
        self, targets: Container[Target | None], *, later: bool
    ) -> dict[Target, list[QueuedJob]]:
        """
        Removes and returns the jobs of some targets.

        Args:
            later: whether to include those that may not be admitted yet.
        """
        removed: list[QueuedJob] = []
        for claim in [claim for claim in self._lanes if claim.target in targets]:
            removed += self._lanes.pop(claim)
        if later:
            removed += [job for _, job in self._later if job.claim.target in targets]
            self._later = [one for one in self._later if one[1].claim.target not in targets]
            heapq.heapify(self._later)
        found: dict[Target, list[QueuedJob]] = {}
        for job in removed:
            if job.claim.target is not None:
                found.setdefault(job.claim.target, []).append(job)
        return found

    def next_wake(self) -> float | None:
        """When another job may start without the end of a run; None when a run must end first."""
        blocked = [*self._reasons(), *([self._full] if self._full else [])]
        times = [one.until for one in blocked if one.until is not None]
        if self._later:
            times.append(self._later[0][0])
        return min(times, default=None)

    def reasons(self) -> dict[str, int]:
        """Why jobs wait, by the last decision, with the number of jobs that each reason holds."""
        reasons: Counter[str] = Counter()
        for wait in self.waits():
            reasons[wait.reason] += wait.jobs
        if self._later:
            reasons["waits for its next attempt"] = len(self._later)
        return dict(reasons)

    def waits(self) -> list[Wait]:
        """Why the jobs of each lane wait, by the last decision."""
        waits = []
        for claim, lane in self._lanes.items():
            blocked = lane.blocked or self._full
            if blocked is not None:
                wait = Wait(
                    target=claim.target,
                    memory_mbytes=claim.memory_mbytes,
                    pools=claim.pools,
                    reason=blocked.reason,
                    jobs=len(lane),
                )
                waits.append(wait)
        return waits

    def _reasons(self) -> Iterator[Blocked]:
        """Why lanes did not fit in the last decision."""
        return (lane.blocked for lane in self._passed if lane.blocked is not None)

    @property
    def lacks_money(self) -> bool:
        """Whether some job waits for money, by the last decision."""
        return any(blocked.limits is MONEY for blocked in self._reasons())

    @property
    def waits_for_costs(self) -> bool:
        """Whether the final costs of ended runs may let some job start, by the last decision."""
        return any(blocked.waits_for_costs for blocked in self._reasons())


def _behind(claim: Claim, waited_for: dict[str, QueuedJob]) -> Blocked | None:
    """Why a job waits behind one that was passed too often."""
    for limit, first in waited_for.items():
        if claim.uses(limit):
            return Blocked(
                reason=f"lets job {first.seq + 1} of the spec go first, which has waited long for "
                f"{limit}"
            )
    return None
