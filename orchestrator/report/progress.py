"""The figures of a batch while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from orchestrator.ledger.statistics import Totals
from orchestrator.model.states import FAILED_JOB_STATUSES, SETTLED_JOB_STATUSES, JobStatus


@dataclass(slots=True, kw_only=True)
class Progress:
    """
    What a progress display shows; the observer of the scheduler updates it.

    Attributes:
        total: jobs of the batch.
        settled: settled jobs by status, including those of earlier processes.
        running: runs in progress.
        stragglers: runs that take, or took, much longer than similar runs.
        items, size_bytes: collected so far.
        cost_usd: of the runs that ended, as first reported; provisional.
        began_at: when this process started, on the monotonic clock.
        settled_before: jobs that were settled before this process started.
        waits: the reasons why jobs wait, each with the number of jobs.
    """

    total: int
    began_at: float
    settled: Counter[JobStatus] = field(default_factory=Counter)
    running: int = 0
    stragglers: int = 0
    items: int = 0
    size_bytes: int = 0
    cost_usd: Decimal = Decimal(0)
    settled_before: int = 0
    waits: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """The number of settled jobs."""
        return self.settled.total()

    @property
    def failed(self) -> int:
        """The number of settled jobs that did not succeed."""
        return sum(self.settled[status] for status in FAILED_JOB_STATUSES)

    def follow(self, totals: Totals) -> None:
        """Copies the figures from the ledger of a batch that another process runs."""
        self.settled = Counter({s: n for s, n in totals.jobs.items() if s in SETTLED_JOB_STATUSES})
        self.total = sum(totals.jobs.values())
        self.running = totals.jobs.get(JobStatus.RUNNING, 0)
        self.items, self.size_bytes = totals.items, totals.size_bytes
        self.cost_usd = totals.cost_usd

    def elapsed_secs(self, now: float) -> float:
        """How long this process has run."""
        return now - self.began_at

    def secs_left(self, now: float) -> float | None:
        """The estimated time for the rest; None before the first job is settled."""
        # What earlier processes did says nothing about the speed of this one.
        done_here = self.done - self.settled_before
        if done_here <= 0:
            return None
        return self.elapsed_secs(now) / done_here * (self.total - self.done)
