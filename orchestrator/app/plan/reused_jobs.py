"""Which jobs of a spec would take the results of earlier batches, so that they need no run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.model.batches import Series
from orchestrator.model.jobs import Job

if TYPE_CHECKING:
    from orchestrator.app.batch.reuse import Reusable


@dataclass(slots=True)
class ReusedJobs:
    """
    Answers for one job after the other, as a batch would decide.

    Attributes:
        home: the folder of the batch name.
    """

    home: Path
    series: Series
    _results: Reusable | None = None

    def takes(self, job: Job) -> bool:
        """Whether a job takes the results of an earlier one; no other job takes the same."""
        if job.reuse_secs is None:
            return False
        if self._results is None:
            # Most specs reuse nothing, and what checks files takes time to import.
            from orchestrator.app.batch.reuse import Reusable

            self._results = Reusable(self.home, self.series, datetime.now(UTC))
        return self._results.take(job)
