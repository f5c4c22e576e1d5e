"""When failures stop a batch. No clock, no I/O."""

from __future__ import annotations

from orchestrator.model.batches import FailureLimit
from orchestrator.model.states import JobStatus

SAMPLE = 20
"""So many jobs must be over before a share of them means anything; half of a smaller batch."""


class FailureCount:
    """
    Counts the jobs that are over in this process, against `stop_after_failures`.

    A job counts when its last run has ended, before its slot is given to the next one. So at most
    the runs that are under way then, `max_runs` less one, come on top of those that decide. One
    that is REJECTED, or whose results cannot be read, counts as failed when that is known.

    Args:
        jobs: how many there are to be done.
    """

    def __init__(self, limit: FailureLimit | None, jobs: int) -> None:
        self._limit = limit
        self._sample = min(SAMPLE, max(1, (jobs + 1) // 2))
        self._over = 0
        self._failed = 0

    def add(self, status: JobStatus) -> str | None:
        """Counts a settled job; says why nothing more should be started, or None."""
        self._over += 1
        return self._fail(status)

    def correct(self, before: JobStatus, after: JobStatus) -> str | None:
        """Counts a job otherwise that was counted before its results were judged; see `add`."""
        if before is not JobStatus.SUCCEEDED or after is JobStatus.SUCCEEDED:
            return None
        return self._fail(after)

    def take_back(self, status: JobStatus) -> None:
        """Forgets a job that was counted and is tried again."""
        self._over -= 1
        self._failed -= status is not JobStatus.SUCCEEDED

    def _fail(self, status: JobStatus) -> str | None:
        self._failed += status is not JobStatus.SUCCEEDED
        limit = self._limit
        if limit is None or not self._failed:
            return None
        if limit.count is not None and self._failed >= limit.count:
            return f"{self._failed} jobs failed, and stop_after_failures is {limit}"
        if (
            limit.share is not None
            and self._over >= self._sample
            and self._failed >= limit.share * self._over
        ):
            return f"{self._failed} of {self._over} jobs failed, and stop_after_failures is {limit}"
        return None
