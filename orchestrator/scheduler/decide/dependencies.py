"""
Which jobs wait for others, and what follows when those are settled. No clock, no I/O.

Jobs with the same needs are one group: what they wait for is counted once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.queue import QueuedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """
    A job that will not be started.

    Attributes:
        reason: which job that it needs did not succeed.
    """

    seq: int
    reason: str


@dataclass(slots=True)
class Consequences:
    """
    What follows from jobs that are settled.

    Attributes:
        released: jobs that may be started now.
        skipped: jobs that will never be started.
    """

    released: list[QueuedJob] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Group:
    """
    The jobs with the same needs.

    Attributes:
        unmet: places in the spec of needed jobs that have not succeeded yet.
        waiting: the jobs of the group.
    """

    unmet: set[int]
    waiting: list[QueuedJob] = field(default_factory=list)


class Dependencies:
    """
    The jobs of a batch that wait for others.

    Args:
        needed: for each kind of needs, the places in the spec of the needed jobs.
        waiting: the jobs that wait, each with its kind of needs.
        statuses: of all jobs, by place in the spec.
    """

    def __init__(
        self,
        needed: Mapping[tuple[str, ...], Iterable[int]] | None = None,
        waiting: Iterable[tuple[QueuedJob, tuple[str, ...]]] = (),
        statuses: Mapping[int, JobStatus] | None = None,
    ) -> None:
        self._statuses = dict(statuses or {})
        self._groups = {
            needs: Group(unmet={seq for seq in seqs if not self._succeeded(seq)})
            for needs, seqs in (needed or {}).items()
        }
        for job, needs in waiting:
            self._groups[needs].waiting.append(job)
        self._groups_of: dict[int, list[Group]] = {}
        for group in self._groups.values():
            for seq in group.unmet:
                self._groups_of.setdefault(seq, []).append(group)

    def __len__(self) -> int:
        return sum(len(group.waiting) for group in self._groups.values())

    def begin(self) -> Consequences:
        """What follows from the jobs that are settled already."""
        consequences = Consequences()
        for group in self._groups.values():
            if not group.unmet:
                consequences.released += group.waiting
                group.waiting = []
        # A process may have died after it settled a job and before it skipped those that need it.
        for seq in list(self._groups_of):
            status = self._statuses.get(seq)
            if status not in (None, JobStatus.WAITING, JobStatus.RUNNING):
                self._settle(seq, status, f"job {seq + 1} of the spec", consequences)
        return consequences

    def settled(self, seq: int, key: str, status: JobStatus) -> Consequences:
        """What follows from a job that is settled now."""
        consequences = Consequences()
        self._settle(seq, status, key, consequences)
        return consequences

    def _succeeded(self, seq: int) -> bool:
        return self._statuses.get(seq) is JobStatus.SUCCEEDED

    def _settle(
        self, seq: int, status: JobStatus | None, name: str, consequences: Consequences
    ) -> None:
        # Not recursive: a chain of jobs may be longer than Python's stack.
        settled = [(seq, status, name)]
        while settled:
            seq, status, name = settled.pop()
            for group in self._groups_of.pop(seq, ()):
                if status is JobStatus.SUCCEEDED:
                    group.unmet.discard(seq)
                    if not group.unmet:
                        consequences.released += group.waiting
                        group.waiting = []
                    continue
                reason = f"it needs {name}, which is {status}"
                for job in group.waiting:
                    consequences.skipped.append(Skipped(seq=job.seq, reason=reason))
                    settled.append((job.seq, JobStatus.SKIPPED, f"job {job.seq + 1} of the spec"))
                group.waiting = []
