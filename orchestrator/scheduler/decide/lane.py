"""
The queued jobs with one claim, in the order of their starts. No clock, no I/O.

Most jobs of a batch wait from its beginning. They are packed: 20 bytes for each, where a tuple with
its numbers takes 200.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from orchestrator.scheduler.decide.limits import Blocked, Claim

ROW = Struct("=dqi")
"""A packed job: shortness, seq, number."""


class QueuedJob(NamedTuple):
    """
    A job in the queue for its next attempt; the order is the order of starts.

    No two jobs have the same `seq`, so nothing after it decides. A tuple, because heaps compare
    some of these for each start.

    Attributes:
        rank: minus the priority, so that the smaller one is first.
        shortness: minus the expected duration of its run in seconds: the longest run starts first,
            so that it does not end long after the others.
        seq: the job's place in the spec.
        number: of the attempt that it waits for.
        claim: what its run will hold.
        ready_at: when it may start at the earliest, on the monotonic clock.
    """

    rank: int
    shortness: float
    seq: int
    number: int
    claim: Claim
    ready_at: float = 0.0


class Pack:
    """Jobs with one rank and one claim that may start now, in order."""

    __slots__ = ("_at", "_claim", "_rank", "_rows")

    def __init__(self, jobs: Sequence[QueuedJob]) -> None:
        self._rank, self._claim = jobs[0].rank, jobs[0].claim
        self._rows = b"".join([ROW.pack(job.shortness, job.seq, job.number) for job in jobs])
        self._at = 0

    def __iter__(self) -> Iterator[QueuedJob]:
        """The jobs that are left; they stay."""
        for shortness, seq, number in ROW.iter_unpack(self._rows[self._at :]):
            yield QueuedJob(self._rank, shortness, seq, number, self._claim)

    def take(self) -> QueuedJob | None:
        """Removes and returns the first job; None when none is left."""
        if self._at == len(self._rows):
            return None
        shortness, seq, number = ROW.unpack_from(self._rows, self._at)
        self._at += ROW.size
        return QueuedJob(self._rank, shortness, seq, number, self._claim)

    def remove(self, seq: int, number: int) -> QueuedJob | None:
        """Removes and returns the job that waits for an attempt; None when none does."""
        left = self._rows[self._at :]
        for place, (shortness, *attempt) in enumerate(ROW.iter_unpack(left)):
            if attempt == [seq, number]:
                cut = place * ROW.size
                self._rows, self._at = left[:cut] + left[cut + ROW.size :], 0
                return QueuedJob(self._rank, shortness, seq, number, self._claim)
        return None


class Lane:
    """
    The jobs with one claim.

    Attributes:
        passes: how many later jobs were started since its first job was the next one.
        blocked: why its first job did not fit in the last decision; None when it was not looked at.
    """

    __slots__ = ("_heap", "_jobs", "_numbers", "blocked", "passes")

    def __init__(self) -> None:
        self.passes = 0
        self.blocked: Blocked | None = None
        self._jobs = 0
        # The number is unique, so that packs are never compared.
        self._numbers = 0
        self._heap: list[tuple[QueuedJob, int, Pack | None]] = []

    def __len__(self) -> int:
        return self._jobs

    def __iter__(self) -> Iterator[QueuedJob]:
        """All jobs, in no order."""
        for job, _, rest in self._heap:
            yield job
            yield from rest or ()

    @property
    def first(self) -> QueuedJob:
        """The job that is next."""
        return self._heap[0][0]

    def add(self, job: QueuedJob, rest: Pack | None = None) -> None:
        """
        Adds a job.

        Args:
            rest: jobs that come after it; see `pack`.
        """
        self._jobs += 1
        self._numbers += 1
        heapq.heappush(self._heap, (job, self._numbers, rest))

    def pack(self, jobs: Sequence[QueuedJob]) -> None:
        """Adds jobs with one rank, in order, that may start now."""
        self.add(jobs[0], Pack(jobs[1:]) if len(jobs) > 1 else None)
        self._jobs += len(jobs) - 1

    def take(self) -> QueuedJob:
        """Removes and returns the job that is next."""
        job, number, rest = self._heap[0]
        following = None if rest is None else rest.take()
        if following is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (following, number, rest))
        self._jobs -= 1
        return job

    def remove(self, seq: int, number: int) -> QueuedJob | None:
        """Removes and returns the job that waits for an attempt; None when none does."""
        for place, (first, own, rest) in enumerate(self._heap):
            if (first.seq, first.number) == (seq, number):
                following = None if rest is None else rest.take()
                self._heap[place : place + 1] = [(following, own, rest)] if following else []
                heapq.heapify(self._heap)
                found: QueuedJob | None = first
            else:
                found = None if rest is None else rest.remove(seq, number)
            if found is not None:
                self._jobs -= 1
                return found
        return None
