"""
One attempt, from its intent to its end: start, follow, collect, judge.

Each step is recorded before the next is taken. Killed anywhere, the ledger tells the next process
how far the attempt has come, and it goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

import anyio

from orchestrator.client import ApifyClient
from orchestrator.errors import (
    NotFound,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    TransientError,
    TruncatedBody,
)
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.jobs import Job
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.attempts import (
    delay_before_next,
    outcome_of_refusal,
    outcome_of_run,
)
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


class Collects(Protocol):
    """
    Brings home what a run made; see `collector.Collector`.
    """

    async def collect(self, job: Job, run: Run, run_json: bytes | None) -> Collected:
        """
        Brings it all home, or raises.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """
    That a job waits for one more attempt.

    Attributes:
        number: of that attempt.
        delay_secs: not before that time has gone by.
    """

    job: Job
    number: int
    delay_secs: float


@dataclass(frozen=True, slots=True)
class Ended:
    """
    A run that has ended and is not collected yet.

    Attributes:
        run_json: as the platform told it last; None when that was told to an earlier process.
    """

    attempt: Attempt
    run: Run
    run_json: bytes | None = None


class Driver:
    """
    Takes attempts through their states.

    Args:
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
        away_secs: how long a platform that takes no start is waited for.
        aborting: whether runs are aborted rather than waited for, and no attempt follows.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        starter: Starter,
        collector: Collects,
        observer: Observer,
        utc_now: Callable[[], datetime],
        chance: Callable[[], float],
        away_secs: float,
        aborting: bool = False,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._starter = starter
        self._collector = collector
        self._observer = observer
        self._utc_now = utc_now
        self._chance = chance
        self._away_secs = away_secs
        self._aborting = aborting
        self._away_since: float | None = None
        self._waits: set[anyio.CancelScope] = set()

    async def intend(self, seq: int, number: int) -> Attempt:
        """
        Records the intent of an attempt at a job.
        """
        return await self._ledger.intend(seq, number, self._utc_now())

    async def to_end(
        self, attempt: Attempt, *, may_exist: bool, wait_for_room: Callable[[], Awaitable[None]]
    ) -> Ended | Next | None:
        """
        Starts the run of an attempt, unless it is known, and follows it to its end.

        Args:
            may_exist: whether an earlier process may have sent the start.
            wait_for_room: called before a start is sent again, when it is known to have no run.

        Returns:
            the ended run; or that the job waits again; or None when it is settled without a run,
            or `give_up_waits` was called.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch.
        """
        run = attempt.run
        if run is None:
            try:
                run = await self._starter.start(
                    attempt, may_exist=may_exist, wait_for_room=wait_for_room
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
        return await self._follow(attempt, run)

    async def bring_home(self, ended: Ended) -> Next | None:
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
            return await self._end(attempt, outcome, None)
        return await self._end(attempt, outcome_of_run(run), collected)

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
        delay = POSTPONED_SECS * (0.5 + self._chance())
        if isinstance(error, TransientError):
            delay = max(delay, error.retry_after_secs or 0.0)
            self._away_since = self._away_since or now
            if now - self._away_since > self._away_secs:
                raise error
        self._observer.start_postponed(attempt, str(error), delay)
        return Next(job=attempt.job, number=attempt.number, delay_secs=delay)

    async def _follow(self, attempt: Attempt, run: Run) -> Ended | Next | None:
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                if self._aborting:
                    await self._abort(run)
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
        await self._ledger.finished(attempt, ended.run)
        self._observer.run_finished(attempt, ended.run)
        return ended

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

    async def _wait(self, attempt: Attempt, run: Run) -> Ended:
        """
        Long polls until the run has ended.
        """
        began = anyio.current_time()
        while True:
            asked = anyio.current_time()
            try:
                told = await self._client.get_run(
                    run.id, wait_secs=attempt.job.wait_for_finish_secs
                )
            except NotFound:
                if anyio.current_time() - began > LAG_SECS:
                    raise
            else:
                facts = told.facts()
                if facts.is_terminal:
                    return Ended(attempt, facts, told.to_json())
            await anyio.sleep_until(asked + SHORTEST_POLL_SECS)

    async def _end(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        *,
        state: AttemptState = AttemptState.SETTLED,
    ) -> Next | None:
        delay = (
            None
            if self._aborting
            else delay_before_next(attempt.job, attempt.number, outcome, self._chance())
        )
        ready_at = None if delay is None else self._utc_now().timestamp() + delay
        await self._ledger.over(attempt, outcome, collected, state=state, ready_at=ready_at)
        self._observer.attempt_over(attempt, outcome, collected, delay)
        if delay is None:
            return None
        return Next(job=attempt.job, number=attempt.number + 1, delay_secs=delay)
