"""The figures of a batch while it goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from orchestrator.ledger.statistics import Totals
from orchestrator.model.states import FAILED_JOB_STATUSES, SETTLED_JOB_STATUSES, JobStatus


@dataclass(slots=True, kw_only=True)
class Progress:
    """
    What a progress display shows; kept by whoever observes the scheduler.

    Attributes:
        total: jobs of the batch.
        settled: jobs that are over, by status, earlier processes included.
        running: runs that go on now.
        stragglers: runs that take, or took, far longer than others of their kind.
        items, size_bytes: collected by now.
        cost_usd: of the runs that ended, as first reported; provisional.
        began_at: when this process began, on the monotonic clock.
        settled_before: jobs that were over before this process began.
        waits: why jobs wait, with their number.
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
        """Jobs that are over."""
        return self.settled.total()

    @property
    def failed(self) -> int:
        """Jobs that are over and did not succeed."""
        return sum(self.settled[status] for status in FAILED_JOB_STATUSES)

    def follow(self, totals: Totals) -> None:
        """Takes the figures over from the ledger of a batch that another process runs."""
        self.settled = Counter({s: n for s, n in totals.jobs.items() if s in SETTLED_JOB_STATUSES})
        self.total = sum(totals.jobs.values())
        self.running = totals.jobs.get(JobStatus.RUNNING, 0)
        self.items, self.size_bytes = totals.items, totals.size_bytes
        self.cost_usd = totals.cost_usd

    def elapsed_secs(self, now: float) -> float:
        """How long this process has been at it."""
        return now - self.began_at

    def secs_left(self, now: float) -> float | None:
        """How long the rest will take at the speed so far; None before the first job is over."""
        done_here = self.done - self.settled_before
        if done_here <= 0:
            return None
        return self.elapsed_secs(now) / done_here * (self.total - self.done)
