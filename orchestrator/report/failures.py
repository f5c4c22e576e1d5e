"""
The failures of a batch, grouped by their cause. No I/O.

Jobs have the same cause if Actor or task, status, exit code and message are equal, after numbers
and ids are removed from the message. What is kept of a group comes from its first job, or from the
first one whose log was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.ledger.records import Failure
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.jobs import Target
from orchestrator.model.states import JobStatus
from orchestrator.report.log_end import last_lines, traceback_end

ID = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    # Letters and digits mixed; and the platform's ids of 17 letters, a few of which lack digits.
    r"|\b(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9_-]{8,}\b"
    r"|\b(?=(?:[a-z]*[A-Z]){4})[A-Z]*[a-z][A-Za-z]*(?<=\b[A-Za-z]{17})\b"
)
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """
    The jobs that failed for one cause.

    Attributes:
        message: of the example: what the platform or this program said, one line.
        exit_code: of the process of the Actor; None when it ended without one, or with 0.
        jobs: how many there are.
        example: the job from which the other facts are; `example_seq` is its place in the spec.
        attempts: how many the example has had.
        run_id: its last run; None when it has none.
        log_end: the last lines of the log of that run; empty when it was not read.
        traceback_end: the last line of a Python traceback in that log; None when there is none.
    """

    target: Target
    status: JobStatus
    exit_code: int | None
    message: str
    jobs: int
    example: JobKey
    example_seq: int
    attempts: int
    run_id: RunId | None
    log_end: tuple[str, ...]
    traceback_end: str | None


@dataclass(slots=True)
class _Group:
    example: Failure
    jobs: int = 1


def group_failures(jobs: Iterable[Failure]) -> list[Failures]:
    """The groups of the failed jobs; the largest first, then in the order of the jobs."""
    groups: dict[tuple[object, ...], _Group] = {}
    for job in jobs:
        cause = cause_of(job)
        group = groups.get(cause)
        if group is None:
            groups[cause] = _Group(job)
            continue
        group.jobs += 1
        if group.example.log_end is None and job.log_end is not None:
            group.example = job
    ordered = sorted(groups.values(), key=lambda group: -group.jobs)
    return [_failures_of(group) for group in ordered]


def cause_of(job: Failure) -> tuple[object, ...]:
    """What is equal for jobs that failed for the same cause."""
    return job.target, job.status, job.exit_code or None, pattern_of(_message(job), job.key)


def _failures_of(group: _Group) -> Failures:
    job = group.example
    log_end = job.log_end or ""
    return Failures(
        target=job.target,
        status=job.status,
        exit_code=job.exit_code or None,
        message=_message(job),
        jobs=group.jobs,
        example=job.key,
        example_seq=job.seq,
        attempts=job.attempts,
        run_id=job.run_id,
        log_end=last_lines(log_end),
        traceback_end=traceback_end(log_end),
    )


def _message(job: Failure) -> str:
    """The error of a job without what the other fields of its group say."""
    text = job.error or ""
    if job.run_id is not None:
        text = text.removeprefix(f"run {job.run_id} ")
    text = text.removeprefix(job.status)
    if job.exit_code:
        text = text.removeprefix(f" with exit code {job.exit_code}")
    return text.lstrip(":; ").rstrip()


# Thousands of jobs often have the same few messages. A message with the key of its job is not
# worth a place in the cache, but finding that out costs more than the place.
@lru_cache(maxsize=4096)
def _bare(message: str) -> str:
    return NUMBER.sub("0", ID.sub("id", message))


def pattern_of(message: str, key: JobKey) -> str:
    """What is left of a message without numbers, ids and the key of its job."""
    return _bare(message.replace(key, "job"))
