"""What happens in a batch while it runs, as values for a program that shows progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from orchestrator.api.batch_result import BatchResult
from orchestrator.api.job_result import JobResult


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStarted:
    """The work on a batch begins; with `resume`, the batch may be of an earlier occurrence."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """
    A run of a job began on the platform.

    Attributes:
        attempt: counted from 1.
        is_adopted: whether the run was found after the answer to its start was lost.
    """

    folder: Path
    job: str
    attempt: int
    run_id: str
    is_adopted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """
    An attempt did not succeed, and another one follows.

    Attributes:
        next_in_secs: the pause before the next attempt.
    """

    folder: Path
    job: str
    attempt: int
    error: str | None
    next_in_secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettled:
    """A job reached its final status, and its results are on disk."""

    folder: Path
    job: JobResult


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnded:
    """The work on a batch has ended."""

    folder: Path
    result: BatchResult


Event: TypeAlias = BatchStarted | RunStarted | AttemptFailed | JobSettled | BatchEnded
