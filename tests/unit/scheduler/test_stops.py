from __future__ import annotations

from orchestrator.model.batches import FailureLimit
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.decide.stragglers import UsualDurations, straggles_from

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")
OK, BAD = JobStatus.SUCCEEDED, JobStatus.FAILED


def first_stop(limit: FailureLimit, jobs: int, *statuses: JobStatus) -> int | None:
    """After how many jobs no further job may start."""
    count = FailureCount(limit, jobs)
    return next((n for n, status in enumerate(statuses, 1) if count.count(status)), None)


def test_count_of_failures_stops_when_it_is_reached() -> None:
    """Every status except SUCCEEDED is a failure."""
    limit = FailureLimit(count=2)
    assert first_stop(limit, 9, BAD, OK, JobStatus.TIMED_OUT, OK) == 3
    assert first_stop(limit, 9, BAD, OK, OK) is None


def test_share_of_failures_needs_a_sample() -> None:
    """One failure among the first two jobs is not half of a batch of hundreds."""
    limit = FailureLimit(share=0.1)
    assert first_stop(limit, 500, BAD, BAD, *[OK] * 18) == 20
    assert first_stop(limit, 500, BAD, *[OK] * 30) is None
    assert first_stop(limit, 6, BAD, OK, OK) == 3


def test_share_is_reached_by_exactly_so_many_failures() -> None:
    """With 100 jobs, it is as many as its percentage says."""
    for percent in range(1, 100):
        count = FailureCount(FailureLimit(share=percent / 100), 200)
        assert count.judge(percent - 1, 100) is None
        assert count.judge(percent, 100) is not None


def test_job_that_is_counted_at_its_runs_end_is_counted_once() -> None:
    """A success that becomes REJECTED is a failure; a job with another attempt is neither."""
    count = FailureCount(FailureLimit(count=2), 9)
    assert count.count(OK) is None
    assert count.count(OK, OK) is None
    assert count.count(JobStatus.REJECTED, OK) is None
    assert count.count(BAD) == "2 jobs failed, and stop_after_failures is 2"
    assert count.count(BAD, BAD) is None
    count.take_back(BAD)
    assert count.count(BAD, OK) is not None


def test_job_with_another_attempt_does_not_change_the_share() -> None:
    """It counts once, when it is settled, among the settled jobs."""
    count = FailureCount(FailureLimit(share=0.5), 4)
    assert count.count(OK) is None
    count.take_back(OK)
    assert count.count(BAD) is None
    assert count.count(OK) == "1 of 2 jobs failed, and stop_after_failures is 50%"


def test_usual_duration_needs_five_runs() -> None:
    """Before that, no duration is usual; a straggler exceeds it both in factor and in seconds."""
    durations = UsualDurations()
    for secs in (10.0, 12.0, 9.0, 100.0):
        durations.add(TARGET, secs)
    assert durations.usual(TARGET) is None
    durations.add(TARGET, 11.0)
    assert (durations.usual(TARGET), straggles_from(11.0)) == (11.0, 33.0)


def test_usual_duration_is_that_of_the_first_two_thousand_runs() -> None:
    """A batch of any size remembers a limited number of durations."""
    durations = UsualDurations()
    for _ in range(2001):
        durations.add(TARGET, 10.0)
    for _ in range(3000):
        durations.add(TARGET, 500.0)
    assert durations.usual(TARGET) == 10.0
