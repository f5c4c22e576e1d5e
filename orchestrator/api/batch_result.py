"""A batch that is on disk: how it was left, its jobs and its items."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from orchestrator.api.batch_files import BatchFiles
from orchestrator.app.batch.lifecycle import Result, result_of
from orchestrator.errors import JobsFailed
from orchestrator.model.batches import BatchState
from orchestrator.model.states import JobStatus
from orchestrator.report.summary import status_of


class BatchResult(BatchFiles):
    """
    How a batch was left, and what it has on disk.

    `Batch.run`, `Batch.run_sync` and `Batch.open` return it.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    @property
    def folder(self) -> Path:
        """The folder of the batch."""
        return self._result.folder

    @property
    def name(self) -> str:
        """The name of the batch."""
        return self._result.batch.name

    @property
    def id(self) -> str:
        """The id of the batch, which is also the name of its folder."""
        return self._result.batch.id

    @property
    def state(self) -> BatchState:
        """`open` while a process works on it or after a crash, `stopped` early, or `ended`."""
        return self._result.batch.state

    @property
    def exit_code(self) -> int | None:
        """What `orchestrator run` would end with; None while the batch is open."""
        return self._result.batch.exit_code

    @property
    def succeeded(self) -> bool:
        """Whether every job succeeded and its results are on disk."""
        return self.exit_code == 0

    @property
    def reason(self) -> str | None:
        """Why the batch stopped early, in words; None if it did not."""
        return self._result.batch.stop_reason

    @property
    def counts(self) -> Mapping[JobStatus, int]:
        """How many jobs have which status."""
        batch, counts = self._result.batch, self._result.totals.jobs
        return {status_of(batch, status): count for status, count in counts.items()}

    @property
    def item_count(self) -> int:
        """How many items the jobs have on disk."""
        return self._result.totals.items

    @property
    def cost_usd(self) -> Decimal:
        """What all runs have cost, as last reported."""
        return self._result.totals.cost_usd

    def check(self) -> None:
        """
        Raises what keeps the batch from being a success; else returns None.

        Raises:
            StoppedEarly, Interrupted, PlatformError: what stopped the batch early, in this process.
            JobsFailed: some jobs did not succeed, or a later step such as an upload failed.
        """
        if self._result.reason is not None:
            raise self._result.reason
        if not self.succeeded:
            raise JobsFailed(f"{self.folder}: {self._words()}")

    def _words(self) -> str:
        if self.reason is not None:
            return f"stopped early: {self.reason}"
        others = {
            status.value: count
            for status, count in self.counts.items()
            if status is not JobStatus.SUCCEEDED
        }
        counts = ", ".join(f"{count} {status}" for status, count in others.items())
        return f"not every job succeeded: {counts}" if counts else "a step after the runs failed"

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status.value}" for status, count in self.counts.items())
        return f"<BatchResult {self.folder}: {self.state.value}, {counts or 'no jobs'}>"


def opened(folder: Path) -> BatchResult:
    """The batch in a folder."""
    return BatchResult(result_of(folder))
