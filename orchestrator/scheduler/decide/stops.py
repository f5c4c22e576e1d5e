"""When failures stop a batch. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import BudgetExhausted, StoppedEarly, TooManyFailures
from orchestrator.model.batches import FailureLimit
from orchestrator.model.states import JobStatus

SAMPLE = 20
"""A share counts only after this many jobs are over, or half of a smaller batch."""


class FailureCount:
    """
    Compares the jobs that are over in this process with `stop_after_failures`.

    A job counts when its last run has ended, before its slot is released. So when the limit is
    reached, at most `max_runs` less one runs are in progress. A job that is REJECTED, or whose
    results cannot be read, counts as failed when that is known.

    Args:
        jobs: how many are not settled.

    Attributes:
        is_shared: whether other processes settle jobs of the batch, too: then the ledger judges a
            share of them, and this process a count.
    """

    def __init__(self, limit: FailureLimit | None, jobs: int) -> None:
        self._limit = limit
        self._jobs = jobs
        self._over = 0
        self._failed = 0
        self.is_shared = False

    def grow(self) -> None:
        """Counts one more job that is not settled."""
        self._jobs += 1

    def count(self, status: JobStatus, counted: JobStatus | None = None) -> str | None:
        """
        Counts a job that is over; says why nothing more should be started, or None.

        Args:
            counted: as what it was counted before its results were judged; None when it was not.
        """
        # Cases: not counted yet, counted right, or counted as a success that the results deny.
        if counted is None:
            self._over += 1
        elif counted is not JobStatus.SUCCEEDED or status is JobStatus.SUCCEEDED:
            return None
        return self._fail(status)

    def take_back(self, status: JobStatus) -> None:
        """Removes a job from the count, because it is tried again."""
        self._over -= 1
        self._failed -= status is not JobStatus.SUCCEEDED

    @property
    def limit(self) -> FailureLimit | None:
        """How many jobs may fail; None for any number."""
        return self._limit

    @property
    def sample(self) -> int:
        """How many jobs must be over before a share of them counts."""
        return min(SAMPLE, max(1, (self._jobs + 1) // 2))

    def judge(self, failed: int, over: int) -> str | None:
        """Why nothing more should be started after so many jobs; None when more may."""
        limit = self._limit
        if limit is None or not failed:
            return None
        if limit.count is not None and failed >= limit.count:
            return f"{failed} jobs failed, and stop_after_failures is {limit}"
        # A quotient rounds to the same number as the share; 0.07 * 100 is more than 7.
        if limit.share is not None and over >= self.sample and failed / over >= limit.share:
            return f"{failed} of {over} jobs failed, and stop_after_failures is {limit}"
        return None

    def _fail(self, status: JobStatus) -> str | None:
        self._failed += status is not JobStatus.SUCCEEDED
        has_all = not self.is_shared or (self._limit is not None and self._limit.share is None)
        return self.judge(self._failed, self._over) if has_all else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """
    What ends a batch before its last job.

    Attributes:
        failures: counts the jobs that fail.
        deadline_secs: how long this process may run; None means no deadline.
    """

    failures: FailureCount = field(default_factory=lambda: FailureCount(None, 0))
    deadline_secs: float | None = None


def why_stuck(reasons: Mapping[str, int], *, lacks_money: bool) -> StoppedEarly:
    """
    Why jobs wait though nothing is under way: what they wait for cannot come.

    Args:
        reasons: why they wait, with the number of jobs that each reason holds.
        lacks_money: whether some of them wait for money.
    """
    listed = " and ".join(f"{jobs} jobs: {reason}" for reason, jobs in reasons.items())
    if lacks_money:
        return BudgetExhausted(f"the budget does not cover {listed}")
    return TooManyFailures(f"not started, {listed}")
