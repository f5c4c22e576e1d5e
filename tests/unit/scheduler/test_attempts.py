from __future__ import annotations

import pytest

from orchestrator.errors import InputRejected
from orchestrator.model.attempts import Outcome, make_mark
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.attempts import (
    delay_before_next,
    outcome_of_refusal,
    outcome_of_run,
)
from tests.support.builders import make_job, make_run

FAILED = Outcome(status=JobStatus.FAILED, error="it failed")


def test_outcome_of_a_succeeded_run_has_no_error() -> None:
    """A run that succeeded makes a job that succeeded."""
    assert outcome_of_run(make_run()) == Outcome(status=JobStatus.SUCCEEDED)


def test_outcome_of_a_failed_run_tells_code_and_message() -> None:
    """The error names the run, its status, its exit code and what it said."""
    run = make_run(status="FAILED", exit_code=3, status_message="no such shop")
    outcome = outcome_of_run(run)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error == "run run1 FAILED with exit code 3: no such shop"


def test_refused_start_is_not_tried_again() -> None:
    """What the platform refuses for good is no better the second time."""
    outcome = outcome_of_refusal(InputRejected("input.url is missing"))
    assert delay_before_next(make_job(retries=5), 1, outcome, 0.5) is None


@pytest.mark.parametrize(
    ("number", "jitter", "expected"),
    [(1, 1.0, 2.0), (1, 0.0, 1.0), (3, 1.0, 8.0), (9, 1.0, 120.0)],
)
def test_delay_doubles_up_to_its_bound(number: int, jitter: float, expected: float) -> None:
    """The wait doubles from attempt to attempt, half of it by chance, and has an end."""
    assert delay_before_next(make_job(retries=99), number, FAILED, jitter) == expected


def test_no_attempt_follows_when_the_retries_are_used_up() -> None:
    """A job with one retry gets two attempts."""
    job = make_job(retries=1)
    assert delay_before_next(job, 1, FAILED, 0.0) is not None
    assert delay_before_next(job, 2, FAILED, 0.0) is None


def test_mark_names_batch_job_attempt_and_send() -> None:
    """Two sends of one attempt have different marks."""
    assert make_mark("abc", 1295, 2, 1) == "abc.zz.2.1"
    assert make_mark("abc", 0, 1, 2) == "abc.0.1.2"
