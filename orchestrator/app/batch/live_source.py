"""Gives the figures of the batch that this process runs to whoever shows or records them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import anyio

from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.model.progress import FailedJob, Progress
from orchestrator.scheduler.loop import COUNTING_REASON, Scheduler

ESTIMATE_EVERY_SECS = 1.0


@dataclass(slots=True, kw_only=True)
class LiveSource:
    """
    The figures of the batch that this process runs, at any time; used in its event loop.

    Attributes:
        utc_now: the wall clock.
    """

    tracker: ProgressTracker
    scheduler: Scheduler
    utc_now: Callable[[], datetime]
    _next_estimate: float = float("-inf")

    def failures(self) -> Sequence[FailedJob]:
        """The latest failed jobs, one for each cause."""
        return self.tracker.failures

    def progress(self, rows: int) -> Progress:
        """The figures now, with at most `rows` runs in progress."""
        now = anyio.current_time()
        if now >= self._next_estimate:
            self._next_estimate = now + ESTIMATE_EVERY_SECS
            waits = {
                reason: jobs
                for reason, jobs in self.scheduler.waits_for().items()
                # These have had their runs, and are counted as `collecting`.
                if reason != COUNTING_REASON
            }
            self.tracker.estimate(waits, now)
        return self.tracker.progress(
            now, self.utc_now(), rows=rows, stopping=self.scheduler.stopping
        )
