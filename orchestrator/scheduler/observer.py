"""What the scheduler reports of attempts, jobs and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import JobKey, Mark
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Target
from orchestrator.model.runs import Run


class Observer(Protocol):
    """
    Receives each change after it is durable, in the event loop; must not block.

    Changes of an attempt arrive in a task whose log has its job, number and run bound.
    """

    def run_started(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """The run of the attempt is known: its start was answered, or a search has found it."""

    def run_finished(self, attempt: Attempt, run: Run) -> None:
        """The run reached a terminal status."""

    def run_seen(self, run: Run) -> None:
        """A run in progress has another status."""

    def run_straggles(self, attempt: Attempt, secs: float, usual_secs: float) -> None:
        """A run takes far longer than usual for its Actor or task."""

    def job_skipped(self, seq: int, reason: str) -> None:
        """A job is settled without an attempt."""

    def jobs_added(self, source: str | None, expansion: Expansion) -> None:
        """Jobs were made of the items of the job with this key; None: by another process."""

    def job_queued(self, seq: int, target: Target) -> None:
        """A job that was made of an item waits for its first start."""

    def jobs_reused(self, keys: Sequence[JobKey]) -> None:
        """New jobs have the results of earlier batches."""

    def items_not_read(self, source: str, error: str) -> None:
        """The items of a job cannot be read, so no jobs are made of them."""

    def log_not_read(self, error: str) -> None:
        """A rule needs the log of a run, which cannot be read."""

    def start_unconfirmed(self, error: str) -> None:
        """The answer to a start was lost, and the search for its run begins."""

    def abort_refused(self, error: str) -> None:
        """The platform does not abort a run, which continues."""

    def agents_hidden(self, run: Run) -> None:
        """The platform hides the mark of a start: a lost run can be found by its input only."""

    def jobs_refused(self, reason: str, keys: Sequence[str]) -> None:
        """Jobs failed without a start, because their Actor or task is held."""

    def start_postponed(self, error: str, delay_secs: float) -> None:
        """The platform refused a start for now."""

    def orphan_found(self, mark: Mark, run: Run, error: str | None) -> None:
        """A run was found that belongs to no attempt; `error` says why it could not be aborted."""

    def attempt_over(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        next_delay_secs: float | None,
    ) -> None:
        """An attempt is over; `next_delay_secs` is None when its job is settled."""
