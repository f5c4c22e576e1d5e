"""
Keeps the figures of a live batch up to date, change by change.

A change costs the same in a batch of ten jobs and of ten thousand. What is not counted by changes
(the estimate, the rate, the limit) is computed once a second from the runs in progress alone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from statistics import fmean

from orchestrator.app.batch.waiting_work import WaitingWork
from orchestrator.ledger.records import Failure
from orchestrator.ledger.statistics import Totals
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import JobKey, RunId
from orchestrator.model.jobs import Target
from orchestrator.model.progress import WINDOW_SECS, FailedJob, LiveRun, Progress
from orchestrator.model.runs import Run
from orchestrator.model.states import (
    FAILED_JOB_STATUSES,
    SETTLED_JOB_STATUSES,
    AttemptState,
    JobStatus,
    RunStatus,
)
from orchestrator.report.failures import pattern_of
from orchestrator.report.time_left import (
    FEWEST,
    TimeLeft,
    Workload,
    drift,
    rest_of_known,
    rest_of_similar,
    time_left,
)
from orchestrator.scheduler.decide.stragglers import UsualDurations

SOONEST_MEAN_SECS = 1.0
SHOWN_FAILURES = 10
MOST_CAUSES = 100
"""How many causes of failures are kept apart."""

COLLECT_WEIGHT = 0.1
"""How much the last job counts in the mean time that a job needs after the end of its run."""


@dataclass(slots=True)
class _Live:
    """
    A run in progress.

    Attributes:
        since: on the monotonic clock.
        expected_secs: how long it took in an earlier batch; None when the job was in none.
    """

    key: JobKey
    run_id: RunId
    target: Target
    since: float
    expected_secs: float | None


class ProgressTracker:
    """
    The figures of a batch that this process runs.

    Times are seconds on the monotonic clock, if they are not aware instants.

    Args:
        began_at: when this process began to work on the batch.

    Attributes:
        total: jobs of the batch.
    """

    def __init__(self, began_at: float) -> None:
        self.total = 0
        self._began_at = began_at
        self._max_cost_usd: Decimal | None = None
        self._settled: Counter[JobStatus] = Counter()
        self._items, self._size_bytes, self._cost_usd = 0, 0, Decimal(0)
        self._durations = UsualDurations()
        self._waiting = WaitingWork()
        self._waiting_secs = 0.0
        self._live: dict[int, _Live] = {}
        self._stragglers: dict[int, _Live] = {}
        self._collecting: dict[int, float] = {}
        # The last failed job of each cause; the last cause is the newest.
        self._failures: dict[tuple[JobStatus, str], FailedJob] = {}
        self._collect_secs = 0.0
        # Of ended runs whose jobs ran in an earlier batch: how many, actual and expected seconds.
        self._drift = (0, 0.0, 0.0)
        # The runs in progress, added up over time.
        self._run_secs, self._counted_to = 0.0, began_at
        self._samples: deque[tuple[float, float, int]] = deque()
        self._left = TimeLeft(secs=None)
        self._ends_at: float | None = None
        self._limit, self._limited = "", 0

    def begin(
        self,
        totals: Totals,
        waiting: WaitingWork,
        max_cost_usd: Decimal | None,
        failures: Iterable[Failure] = (),
    ) -> None:
        """
        Takes over the figures that the batch begins with.

        Args:
            waiting: the jobs that wait for a start, without those that have an open attempt.
            max_cost_usd: the budget of the batch.
            failures: the jobs that failed in earlier processes.
        """
        for job in failures:
            self._add_failure(job.key, job.status, job.error)
        self.total = sum(totals.jobs.values())
        self._max_cost_usd = max_cost_usd
        self._settled.update(
            {status: jobs for status, jobs in totals.jobs.items() if status in SETTLED_JOB_STATUSES}
        )
        self._items, self._size_bytes = totals.items, totals.size_bytes
        self._cost_usd = totals.cost_usd
        self._waiting = waiting
        self._waiting_secs = sum(waiting.expected.values())

    def resume(self, attempts: Iterable[Attempt], now: float, platform_now: datetime) -> None:
        """Counts the open attempts of an earlier process."""
        for attempt in attempts:
            seq, run = attempt.job.seq, attempt.run
            self._waiting.add(seq, attempt.job.target)
            if attempt.state is AttemptState.FINISHED:
                self._take(attempt)
                self._collecting[seq] = now
            elif run is not None:
                age_secs = max(0.0, (platform_now - run.started_at).total_seconds())
                self.run_started(attempt, run, now, age_secs=age_secs)

    def run_started(self, attempt: Attempt, run: Run, now: float, *, age_secs: float = 0.0) -> None:
        """Counts a run in progress."""
        self._count_runs(now)
        job, expected = attempt.job, self._take(attempt)
        self._live[job.seq] = _Live(job.key, run.id, job.target, now - age_secs, expected)

    def run_straggles(self, attempt: Attempt) -> None:
        """Notes that a run takes far longer than similar ones."""
        live = self._live.get(attempt.job.seq)
        if live is not None:
            self._stragglers[attempt.job.seq] = live

    def run_finished(self, attempt: Attempt, run: Run, now: float) -> None:
        """Counts a run that ended, and what it cost."""
        self._cost_usd += run.cost_usd or 0
        live = self._end(attempt.job.seq, now)
        self._collecting[attempt.job.seq] = now
        if live is None or run.status != RunStatus.SUCCEEDED:
            return
        secs = now - live.since
        self._durations.add(live.target, secs)
        if live.expected_secs is not None:
            runs, actual_secs, expected_secs = self._drift
            self._drift = runs + 1, actual_secs + secs, expected_secs + live.expected_secs

    def attempt_over(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        *,
        is_settled: bool,
        now: float,
    ) -> None:
        """Counts an attempt that is over, and its job if no other attempt follows."""
        seq = attempt.job.seq
        since = self._collecting.pop(seq, None)
        # Cases: collected, or a run that was lost, or no run at all.
        if since is not None:
            weight = COLLECT_WEIGHT if self._collect_secs else 1.0
            self._collect_secs += weight * (now - since - self._collect_secs)
        elif self._end(seq, now) is None:
            self._take(attempt)
        if not is_settled:
            self._waiting.add(seq, attempt.job.target)
            return
        if collected is not None:
            self._items += collected.items or 0
            self._size_bytes += collected.size_bytes
        self._settled[outcome.status] += 1
        if outcome.status in FAILED_JOB_STATUSES:
            self._add_failure(attempt.job.key, outcome.status, outcome.error)

    def jobs_added(self, jobs: int) -> None:
        """Counts jobs that were made of items."""
        self.total += jobs

    def job_queued(self, seq: int, target: Target) -> None:
        """Counts a new job that waits for its first start."""
        self._waiting.add(seq, target)

    def jobs_over(self, status: JobStatus, keys: Iterable[JobKey | None], error: str) -> None:
        """Counts jobs that were settled without an attempt; the key may not be known."""
        for key in keys:
            self._settled[status] += 1
            if key is not None:
                self._add_failure(key, status, error)

    def estimate(self, waits: Mapping[str, int], now: float) -> None:
        """
        Updates what is not counted change by change: the estimate, the rate, the limit.

        Args:
            waits: the reasons why jobs wait, each with the number of jobs.
        """
        self._count_runs(now)
        self._limit, self._limited = max(waits.items(), key=lambda entry: entry[1], default=("", 0))
        self._samples.append((now, self._run_secs, self._settled.total()))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_SECS:
            self._samples.popleft()
        rests, late = self._rests(now)
        waiting = self._jobs_waiting
        oldest = next(iter(self._collecting.values()), None)
        self._left = time_left(
            Workload(
                waiting=waiting,
                waiting_secs=self._secs_of_waiting(waiting),
                rests=rests,
                late=late,
                at_once=self._runs_at_once(now),
                collecting_secs=None if oldest is None else now - oldest,
                collect_secs=self._collect_secs,
                collecting=len(self._collecting),
                settled_per_sec=self._settled_per_sec(now),
            )
        )
        self._ends_at = None if self._left.secs is None else now + self._left.secs

    @property
    def _jobs_waiting(self) -> int:
        done = self._settled.total()
        return max(0, self.total - done - len(self._live) - len(self._collecting))

    @property
    def failures(self) -> tuple[FailedJob, ...]:
        """The latest failed jobs, one for each cause, the newest first."""
        return tuple(islice(reversed(self._failures.values()), SHOWN_FAILURES))

    def progress(self, now: float, at: datetime, *, rows: int, stopping: str = "") -> Progress:
        """
        The figures at one instant.

        Args:
            at: the same instant as `now`; aware UTC.
            rows: how many runs in progress to list, at most.
        """

        def instant(time: float) -> datetime:
            return at + timedelta(seconds=time - now)

        return Progress(
            at=at,
            began_at=instant(self._began_at),
            total=self.total,
            settled=dict(self._settled),
            running=len(self._live),
            collecting=len(self._collecting),
            live=tuple(
                LiveRun(
                    key=one.key,
                    run_id=one.run_id,
                    target=one.target.id,
                    since=instant(one.since),
                    usual_secs=self._usual(one),
                    is_straggler=seq in self._stragglers,
                )
                for seq, one in islice(self._longest(), rows)
            ),
            failures=self.failures,
            items=self._items,
            size_bytes=self._size_bytes,
            cost_usd=self._cost_usd,
            max_cost_usd=self._max_cost_usd,
            lately=self._settled.total() - self._samples[0][2] if self._samples else 0,
            lately_from=instant(self._samples[0][0]) if self._samples else None,
            limit=self._limit,
            # Some of them may have started since they were counted.
            limited=min(self._limited, self._jobs_waiting),
            ends_at=None if self._ends_at is None else instant(self._ends_at),
            late=self._left.late,
            stopping=stopping,
        )

    def _take(self, attempt: Attempt) -> float | None:
        expected = self._waiting.take(attempt.job.seq, attempt.job.target)
        self._waiting_secs -= expected or 0.0
        return expected

    def _end(self, seq: int, now: float) -> _Live | None:
        self._count_runs(now)
        self._stragglers.pop(seq, None)
        return self._live.pop(seq, None)

    def _count_runs(self, now: float) -> None:
        self._run_secs += len(self._live) * (now - self._counted_to)
        self._counted_to = now

    def _add_failure(self, key: JobKey, status: JobStatus, error: str | None) -> None:
        cause = (status, pattern_of(error or "", key))
        before = self._failures.pop(cause, None)
        alike = 1 if before is None else before.alike + 1
        self._failures[cause] = FailedJob(key=key, status=status, error=error or "", alike=alike)
        if len(self._failures) > MOST_CAUSES:
            del self._failures[next(iter(self._failures))]

    def _longest(self) -> Iterator[tuple[int, _Live]]:
        """The runs in progress: stragglers first, then the others, the oldest first."""
        yield from self._stragglers.items()
        # A dict keeps the order of the starts.
        yield from ((seq, one) for seq, one in self._live.items() if seq not in self._stragglers)

    def _usual(self, live: _Live) -> float | None:
        if live.expected_secs is not None:
            return live.expected_secs
        return self._durations.usual(live.target)

    def _rests(self, now: float) -> tuple[list[float | None], int]:
        """How long each run in progress still takes, and how many are late."""
        rests: list[float | None] = []
        late = 0
        factor, peers = self._factor(), Counter(one.target for one in self._live.values())
        for one in self._live.values():
            age_secs = now - one.since
            rest: float | None
            if one.expected_secs is not None:
                rest, is_late = rest_of_known(age_secs, factor * one.expected_secs)
            else:
                durations = self._durations.of(one.target)
                rest, is_late = rest_of_similar(age_secs, durations, peers[one.target])
            rests.append(rest)
            late += is_late
        return rests, late

    def _factor(self) -> float:
        runs, actual_secs, expected_secs = self._drift
        return drift(actual_secs, expected_secs, runs)

    def _secs_of_waiting(self, waiting: int) -> float | None:
        """How long the runs of all waiting jobs take together; None when some are unknown."""
        secs, counted = self._factor() * self._waiting_secs, len(self._waiting.expected)
        for target, jobs in self._waiting.others.items():
            if jobs <= 0:
                continue
            durations = self._durations.of(target)
            if len(durations) >= FEWEST:
                each = fmean(durations)
            elif self._waiting.expected:
                # As in the queue: a new job takes as long as the others of its batch.
                each = self._factor() * self._waiting_secs / len(self._waiting.expected)
            else:
                return None
            secs += jobs * each
            counted += jobs
        # Jobs that were skipped are still counted here, and starts in flight are not.
        return secs * waiting / counted if counted else None

    def _settled_per_sec(self, now: float) -> float:
        then, _, done = self._samples[0]
        return (self._settled.total() - done) / (now - then) if now > then else 0.0

    def _runs_at_once(self, now: float) -> float:
        then, run_secs, _ = self._samples[0]
        if now - then < SOONEST_MEAN_SECS:
            return float(len(self._live))
        return (self._run_secs - run_secs) / (now - then)
