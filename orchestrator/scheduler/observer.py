"""What happens to attempts, told to whoever reports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import Mark
from orchestrator.model.runs import Run


class Observer(Protocol):
    """
    Told of each change after it is durable; called in the event loop and must not block.

    What happens to an attempt is told in a task in which the log has its job, number and run bound.
    """

    def run_started(self, run: Run, *, adopted: bool) -> None:
        """The attempt's run is known, from the answer or because it was found."""

    def run_finished(self, run: Run) -> None:
        """The run reached a terminal status."""

    def run_seen(self, run: Run) -> None:
        """A run that goes on has another status."""

    def run_straggles(self, secs: float, usual_secs: float) -> None:
        """A run goes on that takes far longer than is usual for its Actor or task."""

    def job_skipped(self, seq: int, reason: str) -> None:
        """A job is settled without an attempt."""

    def log_not_read(self, error: str) -> None:
        """A rule asks for a run's log, which cannot be had."""

    def start_unconfirmed(self, error: str) -> None:
        """The answer to a start was lost; the run is looked for."""

    def abort_refused(self, error: str) -> None:
        """The platform refuses to abort a run, which goes on."""

    def agents_hidden(self, run: Run) -> None:
        """
        The answer to a start does not show its mark: a lost run can be told by its input only.
        """

    def jobs_refused(self, reason: str, keys: Sequence[str]) -> None:
        """Jobs have failed without a start, since their Actor is held."""

    def start_postponed(self, error: str, delay_secs: float) -> None:
        """The platform has no room for now."""

    def orphan_found(self, mark: Mark, run: Run, error: str | None) -> None:
        """
        A run turned up whose start had been given up; `error` says why it could not be aborted.
        """

    def attempt_over(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        next_delay_secs: float | None,
    ) -> None:
        """An attempt ended; `next_delay_secs` is None when its job is settled."""
