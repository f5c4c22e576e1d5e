from __future__ import annotations

import heapq
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.app.batch.waiting_work import WaitingWork
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.records import Failure
from orchestrator.ledger.statistics import Totals
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.batches import BatchState
from orchestrator.model.ids import JobKey, Mark
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.progress import Progress
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.report.lines import words_left
from orchestrator.report.progress_view import Screen, progress_lines
from tests.support.builders import NOON, make_job, make_ledger, make_run

SUCCESS = Outcome(status=JobStatus.SUCCEEDED)
FAILURE = Outcome(status=JobStatus.FAILED, error="exit code 1")
ACTOR = Target(kind=TargetKind.ACTOR, id="me/actor")


def make_attempt(seq: int, state: AttemptState = AttemptState.STARTED, number: int = 1) -> Attempt:
    return Attempt(
        job=make_job(seq),
        number=number,
        send=1,
        mark=Mark("m"),
        state=state,
        intent_at=NOON,
        run=None if state is AttemptState.INTENT else make_run(f"run{seq}", status="RUNNING"),
    )


@pytest.fixture
def nothing_done(tmp_path: Path) -> Totals:
    """The figures of a batch before its first start."""
    make_ledger(tmp_path)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        return reader.totals()


class Batch:
    """A batch whose runs the test starts and ends."""

    def __init__(
        self, nothing_done: Totals, jobs: int, expected: dict[int, float] | None = None
    ) -> None:
        self.tracker = ProgressTracker(0.0)
        work = WaitingWork(expected=dict(expected or {}))
        for seq in range(jobs):
            work.add(seq, ACTOR)
        self.tracker.begin(replace(nothing_done, jobs={JobStatus.WAITING: jobs}), work, None)

    def start(self, seq: int, now: float) -> None:
        self.tracker.run_started(make_attempt(seq), make_run(f"run{seq}"), now)

    def finish(self, seq: int, now: float, outcome: Outcome = SUCCESS) -> None:
        self.tracker.run_finished(
            make_attempt(seq), make_run(f"run{seq}", status=outcome.status.value), now
        )

    def settle(self, seq: int, now: float, outcome: Outcome = SUCCESS) -> None:
        self.tracker.attempt_over(
            make_attempt(seq), outcome, Collected(items=5), is_settled=True, now=now
        )

    def progress(self, now: float, rows: int = 10) -> Progress:
        self.tracker.estimate({}, now)
        return self.tracker.progress(now, NOON + timedelta(seconds=now), rows=rows)


def test_runs_of_an_earlier_process_count_as_running(nothing_done: Totals) -> None:
    """The display of a resumed batch begins with its live runs."""
    states = [
        AttemptState.STARTED,
        AttemptState.ADOPTED,
        AttemptState.INTENT,
        AttemptState.FINISHED,
    ]
    jobs = {JobStatus.RUNNING: 4, JobStatus.SUCCEEDED: 3}
    tracker = ProgressTracker(0.0)
    tracker.begin(replace(nothing_done, jobs=jobs, items=5), WaitingWork(), None)
    attempts = [make_attempt(seq, state) for seq, state in enumerate(states)]
    tracker.resume(attempts, 0.0, NOON + timedelta(seconds=90))
    progress = tracker.progress(0.0, NOON, rows=10)
    assert (progress.total, progress.running, progress.done, progress.items) == (7, 2, 3, 5)
    assert (progress.collecting, progress.waiting) == (1, 1)
    assert progress.live[0].age_secs(NOON) == 90.0


def test_collecting_is_not_counted_as_running(nothing_done: Totals) -> None:
    """A run that has ended holds no slot, so the display never exceeds `max_runs`."""
    batch = Batch(nothing_done, jobs=3)
    batch.start(0, 0.0)
    batch.start(1, 0.0)
    batch.finish(0, 5.0)
    progress = batch.progress(6.0)
    assert (progress.running, progress.collecting, progress.waiting) == (1, 1, 1)
    batch.settle(0, 7.0)
    progress = batch.progress(8.0)
    assert (progress.running, progress.collecting, progress.succeeded) == (1, 0, 1)
    assert progress.items == 5


def test_lost_run_is_not_shown_forever(nothing_done: Totals) -> None:
    """A run that the platform no longer knows leaves the list with its attempt."""
    batch = Batch(nothing_done, jobs=2)
    batch.start(0, 0.0)
    batch.settle(0, 3.0, FAILURE)
    progress = batch.progress(4.0)
    assert (progress.running, progress.failed) == (0, 1)
    assert [(job.key, job.error) for job in progress.failures] == [("job-0", "exit code 1")]


def test_failures_of_one_cause_are_one_entry(nothing_done: Totals) -> None:
    """188 jobs that fail alike do not push another failure out of sight."""
    batch = Batch(nothing_done, jobs=190)
    batch.settle(0, 1.0, replace(FAILURE, error="no such page"))
    for seq in range(1, 189):
        batch.settle(seq, 1.0, replace(FAILURE, error=f"page {seq} did not load in 30 s"))
    failures = batch.progress(2.0).failures
    assert [(job.key, job.alike) for job in failures] == [("job-188", 188), ("job-0", 1)]


def test_resumed_batch_shows_the_failures_of_earlier_processes(nothing_done: Totals) -> None:
    """Who resumes a batch in the morning sees what failed in the night."""
    failed = Failure(
        seq=0,
        key=JobKey("job-0"),
        target=ACTOR,
        status=JobStatus.FAILED,
        error="no such page",
        attempts=1,
        run_id=None,
        exit_code=None,
        log_end=None,
    )
    tracker = ProgressTracker(0.0)
    totals = replace(nothing_done, jobs={JobStatus.FAILED: 1, JobStatus.WAITING: 1})
    tracker.begin(totals, WaitingWork(), None, [failed])
    (shown,) = tracker.progress(0.0, NOON, rows=1).failures
    assert (shown.key, shown.error, shown.alike) == ("job-0", "no such page", 1)


def test_stragglers_are_listed_before_older_runs(nothing_done: Totals) -> None:
    """If there are few rows, they show the runs that take far longer than usual."""
    batch = Batch(nothing_done, jobs=5)
    for seq in range(5):
        batch.start(seq, float(seq))
    batch.tracker.run_straggles(make_attempt(3))
    live = batch.progress(10.0, rows=3).live
    assert [(run.key, run.is_straggler) for run in live] == [
        ("job-3", True),
        ("job-0", False),
        ("job-1", False),
    ]


def test_usual_duration_is_that_of_the_earlier_batch(nothing_done: Totals) -> None:
    """A job of last night is compared with itself, a new one with similar runs of today."""
    batch = Batch(nothing_done, jobs=8, expected={0: 120.0})
    batch.start(0, 0.0)
    for seq in range(1, 7):
        batch.start(seq, 0.0)
        batch.finish(seq, 10.0)
    batch.start(7, 10.0)
    usual = {run.key: run.usual_secs for run in batch.progress(20.0).live}
    assert usual == {"job-0": 120.0, "job-7": 10.0}


def test_rate_is_that_of_the_last_minute(nothing_done: Totals) -> None:
    """A batch that has become slow does not show the rate of its first hour."""
    batch = Batch(nothing_done, jobs=100)
    for second in range(60):
        batch.start(second, float(second))
        batch.settle(second, second + 1.0)
        batch.tracker.estimate({}, second + 1.0)
    assert rate_at(batch, 60.0) == pytest.approx(60.0)
    for second in range(60, 180):
        batch.tracker.estimate({}, float(second))
    assert rate_at(batch, 180.0) is None


def rate_at(batch: Batch, now: float) -> float | None:
    return batch.progress(now).per_minute(NOON + timedelta(seconds=now))


def simulate(
    nothing_done: Totals,
    durations: list[float],
    *,
    at_once: int,
    expected: dict[int, float] | None = None,
) -> list[tuple[float, str, float | None]]:
    """
    Plays a batch and reads the estimate every half second.

    Returns:
        the real time left, the text that was shown, and the number behind it.
    """
    batch = Batch(nothing_done, len(durations), expected)
    order = iter(sorted(range(len(durations)), key=lambda seq: -(expected or {}).get(seq, 0.0)))
    going: list[tuple[float, int]] = []
    now, looks = 0.0, []
    while True:
        while going and going[0][0] <= now:
            end, seq = heapq.heappop(going)
            batch.finish(seq, end)
            batch.settle(seq, end)
        while len(going) < at_once and (seq := next(order, -1)) >= 0:
            batch.start(seq, now)
            heapq.heappush(going, (now + durations[seq], seq))
        if not going:
            break
        progress = batch.progress(now)
        at = NOON + timedelta(seconds=now)
        looks.append((now, words_left(progress, at), progress.secs_left(at)))
        now += 0.5
    return [(now - at, words, secs) for at, words, secs in looks]


def test_last_long_run_is_not_shown_as_nearly_done(nothing_done: Totals) -> None:
    """There are 60 jobs of a second and one of 18 s, without an earlier batch."""
    looks = simulate(nothing_done, [1.0] * 60 + [18.0], at_once=4)
    shown = [secs for left, _, secs in looks if secs is not None and left > 5.0]
    assert all(secs >= 10.0 for secs in shown)
    words = [words for left, words, _ in looks if 1.0 < left < 15.0]
    assert set(words) == {"1 run takes longer than usual"}


def test_earlier_batch_shows_how_long_the_last_run_takes(nothing_done: Totals) -> None:
    """With an earlier batch, the 18 s are known from the start and counted down."""
    durations = [1.0] * 60 + [18.0]
    history = dict(enumerate(durations))
    looks = simulate(nothing_done, durations, at_once=2, expected=history)
    for left, words, secs in looks:
        if left >= 12.0:
            assert secs is not None
            assert 0.8 * left - 2 <= secs <= 1.3 * left + 2
            assert words.startswith("about ")


def test_estimate_of_a_first_batch_is_right_within_a_third(nothing_done: Totals) -> None:
    """After a tenth of the jobs, their durations show how long the rest takes."""
    durations = [20.0 + (seq * 27) % 40 for seq in range(200)]
    looks = simulate(nothing_done, durations, at_once=10)
    late = looks[len(looks) // 10 : -120]
    assert late
    for left, _, secs in late:
        assert secs is not None
        assert 0.67 * left <= secs <= 1.33 * left


def test_estimate_adapts_to_slower_runs(nothing_done: Totals) -> None:
    """When runs take three times as long as in the earlier batch, the estimate adapts."""
    durations = [30.0 for _ in range(60)]
    looks = simulate(nothing_done, durations, at_once=6, expected=dict.fromkeys(range(60), 10.0))
    for left, _, secs in looks[100:-80]:
        assert secs is not None
        assert 0.67 * left - 15 <= secs <= 1.33 * left + 15


async def test_figures_are_recorded_and_read_again(tmp_path: Path, nothing_done: Totals) -> None:
    """`watch` shows from the ledger exactly what `run` shows from memory."""
    batch = Batch(nothing_done, jobs=3)
    batch.start(0, 0.0)
    batch.start(1, 1.0)
    batch.finish(0, 2.0, FAILURE)
    batch.settle(0, 3.0, FAILURE)
    progress = batch.progress(4.0)
    (tmp_path / "other").mkdir()
    ledger = make_ledger(tmp_path / "other")

    await ledger.record_progress(progress)
    with LedgerReader(tmp_path / "other" / "ledger.sqlite") as reader:
        assert reader.progress() == progress
    await ledger.close(BatchState.ENDED, exit_code=0, reason=None, now=NOON)
    with LedgerReader(tmp_path / "other" / "ledger.sqlite") as reader:
        assert reader.progress() is None


def calls_of_a_refresh(nothing_done: Totals, jobs: int) -> int:
    """How many functions a look at the live view calls, with 40 runs in progress."""
    batch = Batch(nothing_done, jobs, expected=dict.fromkeys(range(0, jobs, 2), 30.0))
    for seq in range(jobs - 40):
        batch.start(seq, 0.0)
        batch.finish(seq, 30.0 + seq % 7)
        batch.settle(seq, 40.0, FAILURE if seq % 10 == 0 else SUCCESS)
    for seq in range(jobs - 40, jobs - 20):
        batch.start(seq, 50.0)
    calls = 0

    def count(_frame: object, event: str, _value: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        progress = batch.progress(60.0, rows=24)
        progress_lines(
            progress, NOON, Screen(width=80, height=24), name="a", batch_id="b", folder="c"
        )
    finally:
        sys.setprofile(None)
    return calls


def test_refresh_costs_the_same_for_ten_thousand_jobs(nothing_done: Totals) -> None:
    """The view is as smooth in a large batch as in a small one."""
    few = calls_of_a_refresh(nothing_done, 200)
    many = calls_of_a_refresh(nothing_done, 10_000)
    assert many < 1.2 * few


def test_jobs_that_have_started_wait_for_nothing(nothing_done: Totals) -> None:
    """A limit binds only jobs that still wait, also before its reasons are counted anew."""
    batch = Batch(nothing_done, jobs=3)
    batch.start(0, 1.0)
    batch.tracker.estimate({"the account has no capacity": 2}, 1.0)
    batch.start(1, 1.1)
    assert batch.tracker.progress(1.2, NOON, rows=9).limited == 1
    batch.start(2, 1.3)
    assert batch.tracker.progress(1.4, NOON, rows=9).limited == 0
