"""
One attempt, from its intent to its end: start, follow, collect, judge.

Each step is recorded before the next is taken. Killed anywhere, the ledger tells the next process
how far the attempt has come, and it goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Protocol

import anyio

from orchestrator.client import ApifyClient
from orchestrator.errors import (
    NoRoom,
    NotFound,
    OrchestratorError,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    StoppedEarly,
    TransientError,
    TruncatedBody,
)
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Job
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus, RunStatus
from orchestrator.scheduler.attempts import (
    SETTLED,
    LogNeeded,
    Verdict,
    decide,
    outcome_of_complaint,
    outcome_of_refusal,
    outcome_of_run,
)
from orchestrator.scheduler.kin import Kin
from orchestrator.scheduler.observing import Observer
from orchestrator.scheduler.starting import Starter, StartLost, StartPostponed

POSTPONED_SECS = 5.0
"""
About how long a job waits again whose start was refused for now.
"""

SHORTEST_POLL_SECS = 1.0
"""
A platform that answers a long poll at once is not asked more often than this.
"""

ABORT_GRACE_SECS = 35.0
"""
What the platform grants to a graceful abort (30 s), and a little more.
"""

LAG_SECS = 10.0
"""
How long after its start a run may still be unknown to some of the platform's servers.
"""

LOG_END_BYTES = 65_536
"""
How much of the end of a log is searched by rules.
"""


class Accepts(Protocol):
    """
    Judges what a run made; see `collector.acceptance.Acceptance`.
    """

    async def complaint(self, job: Job, run: Run, collected: Collected) -> str | None:
        """
        What is not as the job expects; None when all is.
        """


class Collects(Protocol):
    """
    Brings home what a run made; see `collector.Collector`.
    """

    async def live(self, job: Job, run: Run) -> None:
        """
        Brings home what a run makes while it goes on, until cancelled.
        """

    async def collect(self, job: Job, run: Run, run_json: bytes | None) -> Collected:
        """
        Brings it all home, or raises.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """
    That a job waits for an attempt.

    Attributes:
        number: of that attempt.
        delay_secs: not before that time has gone by.
        remedy: what that attempt is to do otherwise.
        refusal: the platform's, when a start was refused since there was no room for it.
    """

    job: Job
    number: int
    delay_secs: float
    remedy: Remedy = NO_REMEDY
    refusal: NoRoom | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """
    That an attempt is over.

    Attributes:
        run: as it ended; None when no run came of the attempt.
        next: the attempt that follows; None when the job is settled.
        stops_batch: whether a rule wants nothing more to be started.
    """

    attempt: Attempt
    outcome: Outcome
    run: Run | None
    next: Next | None = None
    stops_batch: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """
    A run that has ended and is not collected yet.

    Attributes:
        run_json: as the platform told it last; None when that was told to an earlier process.
        aborted_because: why this process aborted it; None when it did not.
    """

    attempt: Attempt
    run: Run
    run_json: bytes | None = None
    aborted_because: str | None = None


@dataclass(slots=True, eq=False)
class Followed:
    """
    A run that is followed.

    Attributes:
        began_at: when the run began, about, on the monotonic clock.
        status: of the run, when last heard of.
        scope: of the poll that is open; cancelling it makes room for an abort.
        abort_because: why the run is to be aborted; None when it is not.
    """

    attempt: Attempt
    run: Run
    began_at: float
    status: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    abort_because: str | None = None
    is_aborted: bool = False
    straggles: bool = False


class Driver:
    """
    Takes attempts through their states.

    Args:
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
        away_secs: how long a platform that takes no start is waited for.
        most_memory_mbytes: what a run may have within the limits of the batch.
        aborting: why runs are aborted rather than waited for, and no attempt follows; None when
            they are not.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        starter: Starter,
        collector: Collects,
        acceptance: Accepts,
        observer: Observer,
        utc_now: Callable[[], datetime],
        chance: Callable[[], float],
        away_secs: float,
        most_memory_mbytes: int | None = None,
        aborting: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._starter = starter
        self._collector = collector
        self._acceptance = acceptance
        self._observer = observer
        self._utc_now = utc_now
        self._chance = chance
        self._away_secs = away_secs
        self._most_memory_mbytes = most_memory_mbytes
        self._aborting = aborting
        self._away_since: float | None = None
        self._waits: set[anyio.CancelScope] = set()
        self._followed: set[Followed] = set()
        self._kin = Kin()

    async def intend(self, seq: int, number: int) -> Attempt:
        """
        Records the intent of an attempt at a job.
        """
        return await self._ledger.intend(seq, number, self._utc_now())

    async def to_end(
        self,
        attempt: Attempt,
        *,
        may_exist: bool,
        cap_usd: Decimal | None = None,
        wait_for_room: Callable[[], Awaitable[None]],
        has_started: Callable[[], None] = lambda: None,
    ) -> Ended | Next | Over | None:
        """
        Starts the run of an attempt, unless it is known, and follows it to its end.

        Args:
            may_exist: whether an earlier process may have sent the start.
            cap_usd: the most that the run may cost; None without a budget.
            wait_for_room: called before a start is sent again, when it is known to have no run.
            has_started: called when the platform has let the run start.

        Returns:
            the ended run; or that the job waits again; or that the attempt is over without a run;
            or None when `give_up_waits` was called.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch.
        """
        run = attempt.run
        if run is None:
            try:
                run = await self._starter.start(
                    attempt, may_exist=may_exist, cap_usd=cap_usd, wait_for_room=wait_for_room
                )
            except StartPostponed as postponed:
                return self._postpone(attempt, postponed.error)
            except StartLost as error:
                outcome = Outcome(status=JobStatus.FAILED, error=str(error), heals=False)
                return await self._end(attempt, outcome, None, state=AttemptState.LOST)
            except PermanentError as error:
                # These concern every start, not this one.
                if isinstance(error, PlanLimitReached) or error.status == HTTPStatus.UNAUTHORIZED:
                    raise
                outcome = outcome_of_refusal(error)
                return await self._end(attempt, outcome, None, state=AttemptState.FAILED)
            self._away_since = None
            has_started()
        return await self._follow(attempt, run)

    async def bring_home(self, ended: Ended) -> Over:
        """
        Collects what a run made, and ends its attempt.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch; nothing is judged yet.
        """
        attempt, run = ended.attempt, ended.run
        try:
            collected = await self._collector.collect(attempt.job, run, ended.run_json)
        except (NotFound, TruncatedBody) as error:
            outcome = Outcome(
                status=JobStatus.FAILED,
                error=f"run {run.id} {run.status}, but what it made is not all to be had: {error}",
            )
            return await self._end(attempt, outcome, None, run=run)
        outcome = outcome_of_run(run, ended.aborted_because)
        if outcome.error is None:
            complaint = await self._acceptance.complaint(attempt.job, run, collected)
            outcome = outcome_of_complaint(run, complaint)
        return await self._end(attempt, outcome, collected, run=run)

    async def skip(self, seq: int, reason: str) -> None:
        """
        Settles a job without an attempt, since one that it needs did not succeed.
        """
        await self._ledger.skip(seq, reason)
        self._observer.job_skipped(seq, reason)

    async def settle_costs(self, run_ids: Iterable[RunId]) -> dict[RunId, Decimal | None]:
        """
        Asks what runs that ended a while ago have cost, and records it; None where it is not told.

        Raises:
            PlatformError: the platform cannot be asked.
        """
        costs: dict[RunId, Decimal | None] = {}
        for run_id in run_ids:
            try:
                costs[run_id] = (await self._client.get_run(run_id)).facts().cost_usd
            except NotFound:
                costs[run_id] = None
        await self._ledger.costs({run: cost for run, cost in costs.items() if cost is not None})
        return costs

    def abort_runs(self, because: str) -> None:
        """
        Aborts all runs that are followed, and those that will be; no attempt follows.
        """
        self._aborting = self._aborting or because
        for followed in self._followed:
            followed.scope.cancel()

    async def look_for_strays(self) -> None:
        """
        Looks once more for runs that turned up after their start had been given up.

        Raises:
            PlatformError: the platform does not tell.
        """
        await self._starter.look_for_strays()

    def give_up_waits(self) -> None:
        """
        Ends all waits for runs at once; the runs go on, and the ledger knows them.
        """
        for scope in self._waits:
            scope.cancel()

    def _postpone(self, attempt: Attempt, error: PlatformError) -> Next:
        """
        Lets a job wait again whose start was refused for now; gives up on a platform long away.
        """
        now = anyio.current_time()
        again = Next(job=attempt.job, number=attempt.number, delay_secs=0.0, remedy=attempt.remedy)
        if isinstance(error, NoRoom):
            self._away_since = None
            again = replace(again, refusal=error)
        else:
            delay = POSTPONED_SECS * (0.5 + self._chance())
            if isinstance(error, TransientError):
                delay = max(delay, error.retry_after_secs or 0.0)
                self._away_since = self._away_since or now
                if now - self._away_since > self._away_secs:
                    raise error
            again = replace(again, delay_secs=delay)
        self._observer.start_postponed(attempt, str(error), again.delay_secs)
        return again

    async def _follow(self, attempt: Attempt, run: Run) -> Ended | Over | None:
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                if attempt.job.collect.live:
                    ended = await self._wait_and_tail(attempt, run)
                else:
                    ended = await self._wait(attempt, run)
            except NotFound as error:
                outcome = Outcome(
                    status=JobStatus.FAILED,
                    error=f"run {run.id} is no longer known to the platform: {error}",
                )
                return await self._end(attempt, outcome, None, state=AttemptState.LOST)
            finally:
                self._waits.discard(scope)
        if scope.cancelled_caught:
            return None
        return ended

    async def _wait_and_tail(self, attempt: Attempt, run: Run) -> Ended:
        """
        Waits for a run's end, and brings home what it makes meanwhile.
        """
        stop, failures = anyio.CancelScope(), list[OrchestratorError]()
        ended: Ended | None = None

        async def tail() -> None:
            with stop:
                try:
                    await self._collector.live(attempt.job, run)
                except StoppedEarly as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tail, name=f"live {run.id}")
            try:
                ended = await self._wait(attempt, run)
            except OrchestratorError as error:
                failures.append(error)
            stop.cancel()
        if ended is None or failures:
            raise failures[0]
        return ended

    async def _wait(self, attempt: Attempt, run: Run) -> Ended:
        """
        Long polls until the run has ended; aborts it where that is wanted.
        """
        now = anyio.current_time()
        age = max(0.0, (self._utc_now() - run.started_at).total_seconds())
        # The clocks may differ; a run that this process has started has just begun.
        began_at = now if attempt.run is None else now - age
        followed = Followed(attempt, run, began_at, run.status)
        self._followed.add(followed)
        try:
            while True:
                asked = anyio.current_time()
                ended = await self._poll(followed, now)
                if ended is not None:
                    return ended
                if followed.abort_because is None:
                    await anyio.sleep_until(asked + SHORTEST_POLL_SECS)
        finally:
            self._followed.discard(followed)

    async def _poll(self, followed: Followed, since: float) -> Ended | None:
        """
        One long poll, or an abort and its end.

        Args:
            since: when the run began to be followed.
        """
        attempt, run = followed.attempt, followed.run
        if self._judge_duration(followed):
            await self._ledger.seen(attempt, followed.status, straggles=True)
        because = followed.abort_because or self._aborting
        if because is not None and not followed.is_aborted:
            followed.abort_because, followed.is_aborted = because, True
            await self._abort(run)
        told = None
        with anyio.CancelScope(deadline=self._next_look(followed)) as followed.scope:
            try:
                told = await self._client.get_run(
                    run.id, wait_secs=attempt.job.wait_for_finish_secs
                )
            except NotFound:
                if anyio.current_time() - since > LAG_SECS:
                    raise
        if told is None:
            return None
        facts = told.facts()
        if facts.is_terminal:
            await self._finish(followed, facts)
            return Ended(attempt, facts, told.to_json(), followed.abort_because)
        if facts.status != followed.status:
            followed.status = facts.status
            await self._ledger.seen(attempt, facts.status, straggles=followed.straggles)
            self._observer.run_seen(attempt, facts)
        return None

    async def _finish(self, followed: Followed, run: Run) -> None:
        """
        Records the end of a run.
        """
        attempt = followed.attempt
        if run.finished_at is not None:
            secs = (run.finished_at - run.started_at).total_seconds()
            usual = self._kin.straggles_from(attempt.job.target)
            if usual is not None and secs > usual and attempt.remedy.resurrects is None:
                followed.straggles = True
            if run.status == RunStatus.SUCCEEDED:
                self._kin.add(attempt.job.target, secs)
                self._look_sooner(attempt.job)
        await self._ledger.finished(attempt, run, straggles=followed.straggles)
        self._observer.run_finished(attempt, run)

    def _judge_duration(self, followed: Followed) -> bool:
        """
        Marks a run that takes far longer than is usual, and one that is to be aborted for that.

        Returns:
            whether it was marked as a straggler just now.
        """
        job = followed.attempt.job
        usual, from_secs = self._kin.usual(job.target), self._kin.straggles_from(job.target)
        if usual is None or from_secs is None or followed.status == RunStatus.READY:
            return False
        secs = anyio.current_time() - followed.began_at
        factor = job.abort_after_factor
        is_too_long = factor is not None and secs >= factor * usual
        is_new = (secs > from_secs or is_too_long) and not followed.straggles
        if is_new:
            followed.straggles = True
            self._observer.run_straggles(followed.attempt, followed.run, secs, usual)
        if is_too_long and followed.abort_because is None:
            followed.abort_because = (
                f"it took more than {factor:g} times the usual {usual:.2g} s (abort_after_factor)"
            )
        return is_new

    def _next_look(self, followed: Followed) -> float:
        """
        When a poll is broken off to look at the run's duration; for ever when it is not.
        """
        job = followed.attempt.job
        usual, from_secs = self._kin.usual(job.target), self._kin.straggles_from(job.target)
        if usual is None or from_secs is None or followed.status == RunStatus.READY:
            return math.inf
        looks = [] if followed.straggles else [from_secs + 0.01]
        if job.abort_after_factor is not None and not followed.is_aborted:
            looks.append(job.abort_after_factor * usual)
        return followed.began_at + min(looks, default=math.inf)

    def _look_sooner(self, job: Job) -> None:
        """
        Lets polls that are open know what is usual by now, where a run may have to be aborted.
        """
        if job.abort_after_factor is None:
            return
        for followed in self._followed:
            if followed.attempt.job.target == job.target:
                followed.scope.deadline = self._next_look(followed)

    async def _abort(self, run: Run) -> None:
        """
        Aborts a run gracefully, and hard when it takes longer than the platform grants.
        """
        await self._client.abort_run(run.id, gracefully=True)
        until = anyio.current_time() + ABORT_GRACE_SECS
        while anyio.current_time() < until:
            wait_secs = math.ceil(until - anyio.current_time())
            if (await self._client.get_run(run.id, wait_secs=wait_secs)).facts().is_terminal:
                return
        await self._client.abort_run(run.id)

    async def _end(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        *,
        run: Run | None = None,
        state: AttemptState = AttemptState.SETTLED,
    ) -> Over:
        """
        Records the end of an attempt, and what follows it.
        """
        verdict = SETTLED if self._aborting else await self._decide(attempt, outcome, run)
        delay = verdict.delay_secs
        ready_at = None if delay is None else self._utc_now().timestamp() + delay
        await self._ledger.over(
            attempt, outcome, collected, state=state, ready_at=ready_at, remedy=verdict.remedy
        )
        self._observer.attempt_over(attempt, outcome, collected, delay)
        following = None
        if delay is not None:
            following = Next(
                job=attempt.job,
                number=attempt.number + 1,
                delay_secs=delay,
                remedy=verdict.remedy,
            )
        return Over(
            attempt=attempt,
            outcome=outcome,
            run=run,
            next=following,
            stops_batch=verdict.stops_batch,
        )

    async def _decide(self, attempt: Attempt, outcome: Outcome, run: Run | None) -> Verdict:
        if outcome.error is None:
            return SETTLED
        jitter, most = self._chance(), self._most_memory_mbytes
        if run is not None and run.resurrect_count is None and attempt.job.rules:
            # What an earlier process was told is not all in the ledger.
            told = (await self._client.get_run(run.id)).facts()
            run = replace(run, resurrect_count=told.resurrect_count)
        try:
            return decide(attempt, outcome, run, jitter=jitter, most_memory_mbytes=most)
        except LogNeeded:
            assert run is not None  # noqa: S101 - rules are for runs
            return decide(
                attempt,
                outcome,
                run,
                jitter=jitter,
                most_memory_mbytes=most,
                log_end=await self._log_end(run),
            )

    async def _log_end(self, run: Run) -> str:
        """
        The end of a run's log; empty when there is none.
        """
        end = b""
        try:
            async with self._client.stream_log(run.id) as download:
                async for chunk in download.chunks():
                    end = (end + chunk)[-LOG_END_BYTES:]
        except (NotFound, TransientError) as error:
            self._observer.log_not_read(run, str(error))
        return end.decode("utf-8", "replace")
