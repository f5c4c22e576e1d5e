"""The timeline of a page: when the runs of a batch ran."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, timedelta

from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.report.page.timeline import Timeline
from tests.support.builders import NOON
from tests.support.listed_jobs import listed_attempt, listed_job, make_page


def test_timeline_counts_runs_and_memory_at_once() -> None:
    """Three runs of which two overlap: two at most, as one ends when the third begins."""
    spans = [(0, 60), (30, 90), (60, 120)]
    jobs = [
        listed_job(
            seq,
            attempts=(
                listed_attempt(
                    seq,
                    started_at=NOON + timedelta(seconds=begin),
                    finished_at=NOON + timedelta(seconds=end),
                ),
            ),
        )
        for seq, (begin, end) in enumerate(spans)
    ]
    view = make_page(jobs).timeline
    assert view is not None
    assert view.memory is not None
    assert (view.runs, view.concurrency.peak, view.memory.peak) == (3, 2, 2048)
    assert (view.ticks[0], view.ticks[-1]) == ("13:00:00", "13:02:00")
    assert view.lanes is not None
    assert 'viewBox="0 0 1000 24"' in view.lanes


def test_timeline_draws_each_life_of_a_resurrected_run_once() -> None:
    """Its second life begins when it is resurrected, not when the run first started."""
    ends, again = NOON + timedelta(seconds=60), NOON + timedelta(seconds=90)
    lives = (
        listed_attempt(finished_at=ends),
        listed_attempt(number=2, finished_at=NOON + timedelta(seconds=120), resurrected_at=again),
    )
    view = make_page([listed_job(attempts=lives)]).timeline
    assert view is not None
    assert (view.runs, view.concurrency.peak) == (2, 1)


def test_timeline_of_days_has_dates() -> None:
    """After a day, a time alone would be ambiguous."""
    last = listed_attempt(1, started_at=NOON, finished_at=NOON + timedelta(days=3))
    view = make_page([listed_job(), listed_job(1, attempts=(last,))]).timeline
    assert view is not None
    assert (view.ticks[0], view.ticks[-1]) == ("11-25 13:00", "11-28 13:00")


def test_timeline_draws_a_live_run_until_now() -> None:
    """A run in progress is a bar of its own colour that ends at the time of the page."""
    live = listed_attempt(state=AttemptState.STARTED, outcome=None, finished_at=None)
    view = make_page([listed_job(status=JobStatus.RUNNING, attempts=(live,))]).timeline
    assert view is not None
    assert view.ticks[-1] == "14:00:00"
    assert view.lanes is not None
    assert 'class="going"' in view.lanes


def test_timeline_of_many_runs_takes_little_memory() -> None:
    """It must draw a million runs, also when all of them ran at once."""
    timeline, runs = Timeline(), 10_000
    begins = [NOON + timedelta(seconds=secs) for secs in range(100)]
    attempts = [
        listed_attempt(started_at=begin, finished_at=begin + timedelta(hours=1)) for begin in begins
    ]
    for number in range(runs):
        timeline.add(attempts[number % len(attempts)], NOON)
    tracemalloc.start()
    try:
        timeline.view(UTC, max_runs=None, max_memory_mbytes=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / runs < 80
