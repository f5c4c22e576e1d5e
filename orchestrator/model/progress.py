"""How far a batch is, at one instant: what `run`, `watch` and `status` show of a live batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.jobs import Target
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus

WINDOW_SECS = 60.0
"""The rate is that of the last minute."""

SOONEST_RATE_SECS = 5.0
"""There is no rate before this time has gone by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """
    Why the jobs with the same claim wait.

    Attributes:
        reason: for people.
        jobs: how many there are.
    """

    target: Target | None
    memory_mbytes: int
    pools: tuple[str, ...]
    reason: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """
    A run in progress.

    Attributes:
        target: the name of its Actor or task.
        since: when it started, by the clock of this machine; aware UTC.
        usual_secs: how long such runs take; None when that is not known.
        is_straggler: whether it takes far longer than similar runs of this batch.
    """

    key: JobKey
    run_id: RunId
    target: str
    since: datetime
    usual_secs: float | None = None
    is_straggler: bool = False

    def age_secs(self, now: datetime) -> float:
        """How long it has run."""
        return max(0.0, (now - self.since).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """
    A job that has failed.

    Attributes:
        error: foreign text.
        alike: how many jobs have failed for the same cause, with this one.
    """

    key: JobKey
    status: JobStatus
    error: str
    alike: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    The state of a live batch at one instant.

    The process that runs the batch makes it from what it holds in memory, and records it in the
    ledger for other processes.

    Attributes:
        at: when it was made, by the clock of this machine; aware UTC.
        began_at: when the process began to work on the batch; aware UTC.
        total: jobs of the batch.
        settled: settled jobs by status, including those of earlier processes.
        running: runs in progress.
        collecting: runs that have ended, and whose results are not judged yet.
        live: some of the runs in progress: stragglers first, then the oldest.
        failures: the latest failed jobs, one for each cause, the newest first.
        items, size_bytes: collected so far.
        cost_usd: of the runs that ended, as first reported; provisional.
        max_cost_usd: the budget of the batch; None when there is none.
        lately: how many jobs were settled since `lately_from`, in the last minute.
        limit: the reason why most of the waiting jobs wait; empty when none is known.
        limited: how many jobs wait for it.
        ends_at: when the batch is expected to end; None when that cannot be said.
        late: runs in progress that take longer than their history lets expect.
        stopping: why the process starts nothing more; empty while it does.
    """

    at: datetime
    began_at: datetime
    total: int
    settled: Mapping[JobStatus, int] = field(default_factory=dict)
    running: int = 0
    collecting: int = 0
    live: tuple[LiveRun, ...] = ()
    failures: tuple[FailedJob, ...] = ()
    items: int = 0
    size_bytes: int = 0
    cost_usd: Decimal = Decimal(0)
    max_cost_usd: Decimal | None = None
    lately: int = 0
    lately_from: datetime | None = None
    limit: str = ""
    limited: int = 0
    ends_at: datetime | None = None
    late: int = 0
    stopping: str = ""

    @property
    def done(self) -> int:
        """The number of settled jobs."""
        return sum(self.settled.values())

    @property
    def succeeded(self) -> int:
        """The number of jobs that succeeded."""
        return self.settled.get(JobStatus.SUCCEEDED, 0)

    @property
    def failed(self) -> int:
        """The number of settled jobs that did not succeed."""
        return sum(self.settled.get(status, 0) for status in FAILED_JOB_STATUSES)

    @property
    def waiting(self) -> int:
        """The number of jobs that have no run in progress and are not settled."""
        return max(0, self.total - self.done - self.running - self.collecting)

    @property
    def facts(self) -> tuple[object, ...]:
        """What changes with the batch, and not with the time alone."""
        runs = tuple((run.run_id, run.is_straggler, run.usual_secs) for run in self.live)
        counts = (self.total, dict(self.settled), self.running, self.collecting, self.late)
        amounts = (self.items, self.size_bytes, self.cost_usd)
        words = (self.limit, self.limited, self.stopping, self.failures)
        return counts, amounts, words, runs, self.ends_at is None

    def per_minute(self, now: datetime) -> float | None:
        """How many jobs are settled per minute; None when that has not been seen."""
        if not self.lately or self.lately_from is None:
            return None
        secs = (now - self.lately_from).total_seconds()
        # Nothing has changed since these figures were made.
        is_old = (now - self.at).total_seconds() > WINDOW_SECS
        return None if is_old or secs < SOONEST_RATE_SECS else 60 * self.lately / secs

    def elapsed_secs(self, now: datetime) -> float:
        """How long the process has worked on the batch."""
        return max(0.0, (now - self.began_at).total_seconds())

    def secs_left(self, now: datetime) -> float | None:
        """The estimated time until the end; None when it cannot be said."""
        return None if self.ends_at is None else (self.ends_at - now).total_seconds()
