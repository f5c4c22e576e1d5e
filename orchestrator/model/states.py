"""
The closed sets of words: the platform's for a run, ours for jobs and attempts.

The values are stored and printed. The status of a run is a plain string in all data from the
platform, because a newer platform may use a word that is not listed here.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """The platform's words for a run (API reference, "Run object", field `status`)."""

    READY = "READY"
    RUNNING = "RUNNING"
    TIMING_OUT = "TIMING-OUT"
    ABORTING = "ABORTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED-OUT"
    ABORTED = "ABORTED"


# Sets of text and not of `RunStatus`, because an answer may have a status that is not known.
RUN_STATUSES: frozenset[str] = frozenset(RunStatus)
TERMINAL_RUN_STATUSES: frozenset[str] = frozenset(
    {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED}
)


class JobStatus(StrEnum):
    """The status of a job, during the batch and at its end."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED-OUT"
    ABORTED = "ABORTED"
    REJECTED = "REJECTED"
    SKIPPED = "SKIPPED"
    NOT_STARTED = "NOT-STARTED"


SETTLED_JOB_STATUSES: frozenset[JobStatus] = frozenset(JobStatus) - {
    JobStatus.WAITING,
    JobStatus.RUNNING,
    JobStatus.NOT_STARTED,
}
FAILED_JOB_STATUSES: frozenset[JobStatus] = SETTLED_JOB_STATUSES - {JobStatus.SUCCEEDED}


class AttemptState(StrEnum):
    """
    The state of an attempt; each state is durable before the next step.

    INTENT: about to ask the platform for a run. UNCONFIRMED: asked, and the answer was lost.
    STARTED: the run's id is known from the answer. ADOPTED: it is known because the run was found.
    FINISHED: the run reached a terminal status. SETTLED: judged, the attempt is over. LOST: the
    platform has no such run. FAILED: the start was refused, so there is no run.
    """

    INTENT = "intent"
    UNCONFIRMED = "unconfirmed"
    STARTED = "started"
    ADOPTED = "adopted"
    FINISHED = "finished"
    SETTLED = "settled"
    LOST = "lost"
    FAILED = "failed"


CLOSED_ATTEMPT_STATES = frozenset({AttemptState.SETTLED, AttemptState.LOST, AttemptState.FAILED})
"""The states of attempts that are over."""
