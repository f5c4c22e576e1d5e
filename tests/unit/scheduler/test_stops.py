from __future__ import annotations

from orchestrator.model.batches import FailureLimit
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.decide.stragglers import UsualDurations

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")
OK, BAD = JobStatus.SUCCEEDED, JobStatus.FAILED


def first_stop(limit: FailureLimit, jobs: int, *statuses: JobStatus) -> int | None:
    """After how many jobs nothing more should be started."""
    count = FailureCount(limit, jobs)
    return next((n for n, status in enumerate(statuses, 1) if count.count(status)), None)


def test_count_of_failures_stops_when_it_is_reached() -> None:
    """Every status but SUCCEEDED is a failure."""
    limit = FailureLimit(count=2)
    assert first_stop(limit, 9, BAD, OK, JobStatus.TIMED_OUT, OK) == 3
    assert first_stop(limit, 9, BAD, OK, OK) is None


def test_share_of_failures_needs_a_sample() -> None:
    """One failure of the first two is no half of a batch of hundreds."""
    limit = FailureLimit(share=0.1)
    assert first_stop(limit, 500, BAD, BAD, *[OK] * 18) == 20
    assert first_stop(limit, 500, BAD, *[OK] * 30) is None
    assert first_stop(limit, 6, BAD, OK, OK) == 3


def test_job_that_is_counted_by_its_run_is_counted_once() -> None:
    """A success that becomes REJECTED is a failure; a job that is tried again is neither."""
    count = FailureCount(FailureLimit(count=2), 9)
    assert count.count(OK) is None
    assert count.count(OK, OK) is None
    assert count.count(JobStatus.REJECTED, OK) is None
    assert count.count(BAD) == "2 jobs failed, and stop_after_failures is 2"
    assert count.count(BAD, BAD) is None
    count.take_back(BAD)
    assert count.count(BAD, OK) is not None


def test_job_that_is_tried_again_leaves_the_share_as_it_was() -> None:
    """It counts once when it is over, among those that are over."""
    count = FailureCount(FailureLimit(share=0.5), 4)
    assert count.count(OK) is None
    count.take_back(OK)
    assert count.count(BAD) is None
    assert count.count(OK) == "1 of 2 jobs failed, and stop_after_failures is 50%"


def test_usual_duration_needs_five_runs() -> None:
    """Nothing is usual before, and a straggler is far beyond both in factor and in seconds."""
    kin = UsualDurations()
    for secs in (10.0, 12.0, 9.0, 100.0):
        kin.add(TARGET, secs)
    assert kin.usual(TARGET) is None
    kin.add(TARGET, 11.0)
    assert (kin.usual(TARGET), kin.straggles_from(TARGET)) == (11.0, 33.0)


def test_usual_duration_is_that_of_the_first_two_thousand_runs() -> None:
    """A batch of any size remembers a bounded number of durations."""
    kin = UsualDurations()
    for _ in range(2001):
        kin.add(TARGET, 10.0)
    for _ in range(3000):
        kin.add(TARGET, 500.0)
    assert kin.usual(TARGET) == 10.0
