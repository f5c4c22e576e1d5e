"""The scheduler's observer: figures for the display and events for the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.app.clock import utc_now
from orchestrator.event_log import LOG
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import JobKey, Mark
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Target
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus

if TYPE_CHECKING:
    from orchestrator.app.monitoring.trace import BatchTrace
    from orchestrator.app.setup.context import Watcher


class BatchEvents:
    """
    The scheduler's observer.

    Events of an attempt are logged in its task, where `job`, `attempt` and `run` are bound.
    """

    def __init__(
        self,
        tracker: ProgressTracker,
        trace: BatchTrace | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._tracker = tracker
        self._trace = trace
        self._watcher = watcher
        # Bound once: `LOG` itself looks its configuration up for each event.
        self._log: FilteringBoundLogger = LOG.bind()

    def run_started(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """Counts a run in progress."""
        self._tracker.run_started(attempt, run, loop_time())
        if self._watcher is not None:
            self._watcher.run_started(attempt, run, adopted=adopted)
        self._log.info("run_adopted" if adopted else "run_started", run=run.id)

    def run_finished(self, attempt: Attempt, run: Run) -> None:
        """Counts a run that ended, and what it cost."""
        self._tracker.run_finished(attempt, run, loop_time())
        self._log.debug("run_finished", status=run.status)

    def run_seen(self, run: Run) -> None:
        """Logs the status of a run in progress."""
        self._log.debug("run_status_changed", status=run.status)

    def run_straggles(self, attempt: Attempt, secs: float, usual_secs: float) -> None:
        """Warns of a run that takes much longer than usual."""
        self._tracker.run_straggles(attempt)
        self._log.warning(
            "straggler_found",
            secs=round(secs),
            usual_secs=round(usual_secs),
        )

    def job_skipped(self, seq: int, reason: str) -> None:
        """Counts a job that is not started."""
        self._tracker.jobs_over(JobStatus.SKIPPED, (None,), reason)
        if self._watcher is not None:
            self._watcher.job_skipped(seq)
        self._log.warning("job_skipped", place=seq + 1, reason=reason)

    def jobs_added(self, source: str | None, expansion: Expansion) -> None:
        """Counts the jobs that were made of items, and warns of items that gave none."""
        self._tracker.jobs_added(expansion.jobs)
        if source is None:
            # The process that has made them logs it.
            return
        self._log.info("jobs_added", source=source, sweep=expansion.sweep, jobs=expansion.jobs)
        if expansion.left_out:
            self._log.warning(
                "rows_left_out",
                source=source,
                sweep=expansion.sweep,
                rows=expansion.left_out,
                first=expansion.problem,
            )

    def job_queued(self, seq: int, target: Target) -> None:
        """Counts a job that waits for its first start."""
        self._tracker.job_queued(seq, target)

    def jobs_reused(self, keys: Sequence[JobKey]) -> None:
        """Counts jobs that have the results of earlier batches."""
        self._tracker.jobs_over(JobStatus.SUCCEEDED, [None] * len(keys), "")
        if self._watcher is not None:
            self._watcher.jobs_settled(keys)

    def items_not_read(self, source: str, error: str) -> None:
        """Warns that no jobs can be made of the items of a job."""
        self._log.warning("items_not_read", source=source, error=error)

    def log_not_read(self, error: str) -> None:
        """Warns that a rule cannot read a log."""
        self._log.warning("log_not_read", error=error)

    def start_unconfirmed(self, error: str) -> None:
        """Warns that the answer to a start was lost."""
        self._log.warning("start_unconfirmed", error=error)

    def abort_refused(self, error: str) -> None:
        """Warns of a run that continues because the platform does not abort it."""
        self._log.warning("run_not_aborted", error=error)

    def agents_hidden(self, run: Run) -> None:
        """Warns that a run whose start had no answer can be found only by its input."""
        self._log.warning(
            "user_agents_hidden",
            run=run.id,
            consequence="if the answer to a start is lost, its run is recognised by its input",
        )

    def jobs_refused(self, reason: str, keys: Sequence[str]) -> None:
        """Counts jobs that failed without a start."""
        self._tracker.jobs_over(JobStatus.FAILED, map(JobKey, keys), reason)
        if self._watcher is not None:
            self._watcher.jobs_settled(map(JobKey, keys))
        self._log.info("jobs_refused", reason=reason, jobs=list(keys))

    def start_postponed(self, error: str, delay_secs: float) -> None:
        """Notes that the account is full."""
        self._log.info("start_postponed", error=error, delay_secs=round(delay_secs, 1))

    def orphan_found(self, mark: Mark, run: Run, error: str | None) -> None:
        """Warns of a run that belongs to no attempt."""
        self._log.warning(
            "orphan_run_aborted" if error is None else "orphan_run_not_aborted",
            run=run.id,
            mark=mark,
            status=run.status,
            error=error,
        )

    def attempt_over(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        next_delay_secs: float | None,
    ) -> None:
        """Counts a settled job, and logs a failure."""
        self._tracker.attempt_over(
            attempt,
            outcome,
            collected,
            is_settled=next_delay_secs is None,
            now=loop_time(),
        )
        if self._trace is not None:
            self._trace.attempt_over(attempt, outcome, utc_now())
        if self._watcher is not None:
            if next_delay_secs is None:
                self._watcher.jobs_settled((attempt.job.key,))
            else:
                self._watcher.attempt_failed(attempt, outcome.error, next_delay_secs)
        if next_delay_secs is not None:
            self._log.warning(
                "attempt_failed",
                error=outcome.error,
                next_in_secs=round(next_delay_secs, 1),
            )
            return
        # At the end, one line reports a refusal for all of its jobs together.
        is_quiet = outcome.error is None or outcome.is_refused
        log = self._log.info if is_quiet else self._log.warning
        log(
            "job_settled",
            status=outcome.status,
            attempts=attempt.number,
            items=None if collected is None else collected.items,
            missing=list(collected.missing) if collected is not None else [],
            error=outcome.error,
        )
