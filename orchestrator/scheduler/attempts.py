"""
How an attempt ended, and whether another one follows. No clock, no I/O.
"""

from __future__ import annotations

from orchestrator.errors import PlatformError
from orchestrator.model.attempts import Outcome
from orchestrator.model.jobs import Job
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus, RunStatus

FIRST_DELAY_SECS = 2.0
LONGEST_DELAY_SECS = 120.0


def outcome_of_run(run: Run) -> Outcome:
    """
    The outcome of an attempt whose run has ended and is collected.
    """
    if run.status == RunStatus.SUCCEEDED:
        return Outcome(status=JobStatus.SUCCEEDED)
    said = f": {run.status_message}" if run.status_message else ""
    code = f" with exit code {run.exit_code}" if run.exit_code else ""
    return Outcome(status=JobStatus(run.status), error=f"run {run.id} {run.status}{code}{said}")


def outcome_of_refusal(error: PlatformError) -> Outcome:
    """
    The outcome of an attempt whose start the platform refuses for good.
    """
    return Outcome(status=JobStatus.FAILED, error=f"not started: {error}", heals=False)


def delay_before_next(job: Job, number: int, outcome: Outcome, jitter: float) -> float | None:
    """
    How long to wait before the next attempt; None when none follows.

    Args:
        job: whose attempt it was.
        number: of the attempt that is over, counted from 1.
        outcome: of that attempt.
        jitter: a random number from 0 to 1.

    Returns:
        seconds: doubling from one attempt to the next, half of it by chance.
    """
    if outcome.error is None or not outcome.heals or number > job.retries:
        return None
    longest = min(LONGEST_DELAY_SECS, FIRST_DELAY_SECS * 2.0 ** min(number - 1, 30))
    return longest * (0.5 + 0.5 * jitter)
