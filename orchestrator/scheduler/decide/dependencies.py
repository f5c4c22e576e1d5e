"""
Which jobs wait for others, and what follows when those are settled. No clock, no I/O.

Jobs with the same needs are one group: what they wait for is counted once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.model.item_sweeps import Expansion, Sources
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.item_needs import ItemNeeds, Needs, Step, matches
from orchestrator.scheduler.decide.lane import QueuedJob

NO_KEYS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """
    A job that will not be started.

    Attributes:
        reason: why, in words; `{job}` in it stands for the key of the needed job.
        needed: the place of the job that did not succeed; None if no job is to blame.
    """

    seq: int
    reason: str
    needed: int | None = None


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
        steps: after which further jobs that are needed may have been made of items.
        absent: keys that no job has yet, in lower case.
        waiting: the jobs of the group.
    """

    needs: Needs
    unmet: set[int]
    steps: set[Step] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    waiting: list[QueuedJob] = field(default_factory=list)


class Dependencies:
    """
    The jobs of a batch that wait for others.

    Args:
        needed: for each kind of needs, the places in the spec of the needed jobs.
        waiting: the jobs that wait, each with its kind of needs.
        statuses: of all jobs, by place in the spec.
        items: which needs may be fulfilled by jobs that are still to be made of items; None where
            no jobs are made of items.
        keys: of the jobs whose items may become such jobs, by place in the spec.
    """

    def __init__(
        self,
        needed: Mapping[Needs, Iterable[int]] | None = None,
        waiting: Iterable[tuple[QueuedJob, Needs]] = (),
        statuses: Mapping[int, JobStatus] | None = None,
        *,
        items: ItemNeeds | None = None,
        keys: Mapping[int, str] = NO_KEYS,
    ) -> None:
        self._statuses = dict(statuses or {})
        self._items = items or ItemNeeds(Sources(()), {})
        self._groups = {
            needs: Group(needs=needs, unmet={seq for seq in seqs if not self._succeeded(seq)})
            for needs, seqs in (needed or {}).items()
        }
        for job, needs in waiting:
            self._groups[needs].waiting.append(job)
        self._groups_of: dict[int, list[Group]] = {}
        self._groups_after: dict[Step, list[Group]] = {}
        known = {key.lower() for key in keys.values()}
        # Once for all groups: each waits for the sources of each sweep that it needs.
        steps = {seq: found for seq, key in keys.items() if (found := self._items.steps(seq, key))}
        for group in self._groups.values():
            for seq in group.unmet:
                self._groups_of.setdefault(seq, []).append(group)
            if self._items.makers(group.needs):
                self._await_items(group, known, steps)

    def __len__(self) -> int:
        return sum(len(group.waiting) for group in self._groups.values())

    def begin(self) -> Consequences:
        """What follows from the jobs that are settled already."""
        consequences = Consequences()
        for group in self._groups.values():
            self._release(group, consequences)
        # A process may have died after it settled a job and before it skipped those that need it.
        for seq in list(self._groups_of):
            status = self._statuses.get(seq)
            if status not in (None, JobStatus.WAITING, JobStatus.RUNNING, JobStatus.SUCCEEDED):
                self._settle(seq, status, consequences)
        return consequences

    def settled(self, seq: int, status: JobStatus) -> Consequences:
        """What follows from a job that is settled now."""
        consequences = Consequences()
        self._settle(seq, status, consequences)
        return consequences

    def expanded(
        self,
        expansion: Expansion,
        made: Iterable[tuple[int, str, JobStatus]],
        reused: Iterable[int] = (),
    ) -> Consequences:
        """
        What follows from jobs that were made of items.

        Args:
            made: place, key and status of each; not read if no job waits for them.
            reused: places of those that have succeeded without a run, perhaps after another call
                for this expansion, which found them waiting.
        """
        consequences = Consequences()
        self._items.add(expansion)
        step = (expansion.sweep, expansion.source)
        groups = self._groups_after.pop(step, [])
        jobs = list(made) if groups else []
        following = [self._items.steps(seq, key) for seq, key, _ in jobs]
        for group in groups:
            group.steps.discard(step)
            for (seq, key, status), steps in zip(jobs, following, strict=True):
                if steps:
                    self._await_steps(group, seq, steps)
                self._add_made(group, seq, key, status)
            self._release(group, consequences)
        for seq in reused:
            self._settle(seq, JobStatus.SUCCEEDED, consequences)
        for seq, _, status in jobs:
            if status not in (JobStatus.WAITING, JobStatus.RUNNING, JobStatus.SUCCEEDED):
                self._settle(seq, status, consequences)
        return consequences

    def _await_items(
        self, group: Group, known: AbstractSet[str], steps: Mapping[int, Iterable[Step]]
    ) -> None:
        """Makes a group wait for the items of the jobs that there are."""
        group.absent = {
            key for key in map(str.lower, group.needs) if not set("*?[") & set(key)
        } - known
        own = {job.seq for job in group.waiting}
        for seq, found in steps.items():
            # Their own items are no condition of their start.
            if seq not in own:
                self._await_steps(group, seq, found)

    def _await_steps(self, group: Group, seq: int, steps: Iterable[Step]) -> None:
        makers = self._items.makers(group.needs)
        for step in steps:
            if step[0] in makers:
                group.steps.add(step)
                self._groups_after.setdefault(step, []).append(group)
                self._groups_of.setdefault(seq, []).append(group)

    def _add_made(self, group: Group, seq: int, key: str, status: JobStatus) -> None:
        """Adds a job that was made of an item to what a group waits for."""
        if matches(group.needs, key):
            group.absent.discard(key.lower())
            if status is not JobStatus.SUCCEEDED:
                group.unmet.add(seq)
                self._groups_of.setdefault(seq, []).append(group)

    def _release(self, group: Group, consequences: Consequences) -> None:
        """Lets the jobs of a group start if all is there that they need."""
        if group.unmet or group.steps:
            return
        if group.absent:
            reason = f"it needs {min(group.absent)}, which no item has become"
            for seq in self._skip(group, consequences, reason):
                self._settle(seq, JobStatus.SKIPPED, consequences)
            return
        consequences.released += group.waiting
        group.waiting = []

    def _skip(
        self, group: Group, consequences: Consequences, reason: str, needed: int | None = None
    ) -> list[int]:
        """Skips the jobs of a group; returns their places."""
        skipped = [job.seq for job in group.waiting]
        consequences.skipped += [Skipped(seq=seq, reason=reason, needed=needed) for seq in skipped]
        group.waiting = []
        return skipped

    def _succeeded(self, seq: int) -> bool:
        return self._statuses.get(seq) is JobStatus.SUCCEEDED

    def _settle(self, seq: int, status: JobStatus | None, consequences: Consequences) -> None:
        # Not recursive: a chain of jobs may be longer than Python's stack.
        settled = [(seq, status)]
        while settled:
            seq, status = settled.pop()
            for group in self._groups_of.pop(seq, ()):
                if status is JobStatus.SUCCEEDED:
                    group.unmet.discard(seq)
                    self._release(group, consequences)
                    continue
                what = "{job}" if seq in group.unmet else "jobs of the items of {job}"
                reason = f"it needs {what}, which is {status}"
                skipped = self._skip(group, consequences, reason, seq)
                settled += [(one, JobStatus.SKIPPED) for one in skipped]
