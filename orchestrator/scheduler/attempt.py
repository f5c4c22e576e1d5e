"""
One attempt, from its intent to its end: start, follow, collect, judge.

Each step is recorded before the next is taken. Killed anywhere, the ledger tells the next process
how far the attempt has come, and it goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.errors import (
    NoRoom,
    NotFound,
    PlanLimitReached,
    PlatformError,
    TransientError,
    TruncatedBody,
)
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Job
from orchestrator.model.proofs import FEWER, GONE, REFUSED
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.decide.retries import (
    SETTLED,
    LogNeeded,
    Verdict,
    decide,
    outcome_of_complaint,
    outcome_of_refusal,
    outcome_of_run,
    outcome_of_unread,
)
from orchestrator.scheduler.follow import Ended, Follower
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.start import (
    CAP_BELOW_FLOOR,
    Starter,
    StartLost,
    StartPostponed,
    StartRefused,
    TargetHeld,
)
from orchestrator.scheduler.timings import TIMINGS, Timings

PROBE_SECS = 20.0
"""How long a platform may take to show that it is not away."""

LOG_END_BYTES = 65_536
"""How much of the end of a log is searched by rules."""

LOG_SECS = 300.0
"""How long a log may take to be read for rules."""


class Accepts(Protocol):
    """Judges what a run made; see `collector.acceptance.Acceptance`."""

    async def complaint(self, job: Job, run: Run, collected: Collected) -> str | None:
        """What is not as the job expects; None when all is."""


class Collects(Protocol):
    """Brings home what a run made; see `collector.Collector`."""

    async def collect(self, job: Job, run: Run, run_json: bytes | None) -> Collected:
        """Brings it all home, or raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """
    That a job waits for an attempt.

    Attributes:
        number: of that attempt.
        delay_secs: not before that time has gone by.
        remedy: what that attempt is to do otherwise.
        refusal: the platform's, when a start was refused for lack of room or money.
        floor_usd: the least cap that the Actor takes, when it refused one of our choice.
    """

    job: Job
    number: int
    delay_secs: float
    remedy: Remedy = NO_REMEDY
    refusal: NoRoom | PlanLimitReached | None = None
    floor_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """
    That an attempt is over.

    Attributes:
        run: as it ended; None when no run came of the attempt.
        next: the attempt that follows; None when the job is settled.
        stops_batch: whether a rule wants nothing more to be started.
        may_cost: whether there may be a run whose cost nobody will learn.
    """

    attempt: Attempt
    outcome: Outcome
    run: Run | None
    next: Next | None = None
    stops_batch: bool = False
    may_cost: bool = False


class Driver:
    """
    Takes attempts through their states.

    Args:
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
        away_secs: how long a platform that takes no start is waited for.
        counts_settle_secs: how long after a run's end its items may not be counted yet.
        most_memory_mbytes: what a run may have within the limits of the batch.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        starter: Starter,
        follower: Follower,
        collector: Collects,
        acceptance: Accepts,
        observer: Observer,
        utc_now: Callable[[], datetime],
        chance: Callable[[], float],
        away_secs: float,
        counts_settle_secs: float = 0.0,
        most_memory_mbytes: int | None = None,
        timings: Timings = TIMINGS,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._starter = starter
        self._follower = follower
        self._collector = collector
        self._acceptance = acceptance
        self._observer = observer
        self._utc_now = utc_now
        self._chance = chance
        self._away_secs = away_secs
        self._counts_settle_secs = counts_settle_secs
        self._most_memory_mbytes = most_memory_mbytes
        self._timings = timings
        self._away_since: float | None = None

    async def intend(self, seq: int, number: int, claim: Claim) -> Attempt:
        """Records the intent of an attempt at a job, with what is reserved for its run."""
        return await self._ledger.intend(
            seq,
            number,
            self._utc_now(),
            platform_at=self._client.platform_now(),
            reserved_usd=claim.reserve_usd or None,
            caps_itself=claim.caps_itself,
        )

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
            except (StartRefused, TargetHeld) as refused:
                outcome = outcome_of_refusal(str(refused))
                return await self._end(attempt, outcome, None, state=AttemptState.FAILED)
            self._away_since = None
            has_started()
        try:
            return await self._follower.follow(attempt, run)
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            outcome = outcome_of_unread(run, error)
            return await self._end(attempt, outcome, None, state=AttemptState.LOST)

    def settles_at(self, ended: Ended) -> float:
        """When all items of an ended run are counted, on the monotonic clock."""
        platform_now, passed_secs = self._client.platform_now(), 0.0
        if ended.attempt.ended_at is not None and platform_now is not None:
            # Both times are the platform's: its clock may differ from ours, and ours may jump.
            passed_secs = max(0.0, (platform_now - ended.attempt.ended_at).total_seconds())
        return anyio.current_time() + max(0.0, self._counts_settle_secs - passed_secs)

    async def ended(self, seq: int, number: int, aborted_because: str | None) -> Ended:
        """The ended run of an attempt, as the ledger holds it."""
        attempt, run_json = await self._ledger.ended_attempt(seq, number)
        assert attempt.run is not None  # noqa: S101 - the ledger's own check
        return Ended(attempt, attempt.run, run_json, aborted_because)

    def foresee(self, ended: Ended) -> tuple[Outcome, Verdict | None]:
        """
        How an attempt will end, judged by its run alone, and what follows it.

        Jobs are counted by this: they do not wait until their results are downloaded. None where a
        rule has to read the log first.
        """
        outcome = outcome_of_run(ended.run, ended.aborted_because)
        try:
            return outcome, decide(ended.attempt, outcome, ended.run, jitter=0.0)
        except LogNeeded:
            return outcome, None

    async def bring_home(self, ended: Ended) -> Over:
        """
        Collects what a run made, and ends its attempt.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch; nothing is judged yet.
        """
        attempt, run = ended.attempt, ended.run
        try:
            collected = await self._collector.collect(attempt.job, run, ended.run_json)
        except PlatformError as error:
            if not error.costs_its_job and not await self._is_read_alone_refused(run, error):
                raise
            why = Collected(unproven=_why_unproven(error))
            return await self._end(attempt, outcome_of_unread(run, error), why, run=run)
        outcome = outcome_of_run(run, ended.aborted_because)
        if outcome.error is None:
            complaint = await self._acceptance.complaint(attempt.job, run, collected)
            outcome = outcome_of_complaint(run, complaint)
        return await self._end(attempt, outcome, collected, run=run)

    async def _is_read_alone_refused(self, run: Run, error: PlatformError) -> bool:
        """Whether the platform answers, and only what a run made cannot be read for too long."""
        if error.concerns_every_job:
            return False
        with anyio.move_on_after(PROBE_SECS), suppress(PlatformError):
            await self._client.get_run(run.id)
            return True
        return False

    async def skip(self, seq: int, reason: str) -> None:
        """Settles a job without an attempt, since one that it needs did not succeed."""
        await self._ledger.skip(seq, reason)
        self._observer.job_skipped(seq, reason)

    async def refuse(self, seqs: Sequence[int], reason: str) -> None:
        """Ends jobs as failed without an attempt, since their Actor or task is held."""
        keys = await self._ledger.refuse(seqs, outcome_of_refusal(reason).error or reason)
        self._observer.jobs_refused(reason, keys)

    async def settle_costs(self, run_ids: Iterable[RunId]) -> dict[RunId, Decimal | None]:
        """
        Asks what runs that ended a while ago have cost, and records it; None where it is not told.

        One odd answer would let a reservation count for good, so each refusal is asked again.

        Raises:
            PlatformError: the platform cannot be asked.
        """
        costs: dict[RunId, Decimal | None] = {}
        for run_id in run_ids:
            try:
                run = await self._client.get_run(run_id, insist=True)
                costs[run_id] = run.facts().cost_usd
            except PlatformError as error:
                if not error.costs_its_job:
                    raise
                costs[run_id] = None
        told = {run: cost for run, cost in costs.items() if cost is not None}
        await self._ledger.costs(told, self._client.platform_now() or self._utc_now())
        return costs

    def abort_runs(self, because: str) -> None:
        """Aborts all runs that are followed, and those that will be; no attempt follows."""
        self._follower.abort_runs(because)

    async def look_for_orphans(self) -> None:
        """
        Looks once more for runs that turned up after their start had been given up.

        Raises:
            PlatformError: the platform does not tell.
        """
        await self._starter.look_for_orphans()

    async def end_spares(self, seq: int) -> None:
        """Ends the runs that another process started for a job and that no attempt of it takes."""
        await self._starter.end_spares(seq)

    async def has_ended(self, run: Run) -> bool:
        """
        Whether a run that no attempt follows has ended, or cannot be read any more.

        Raises:
            PlatformError: the platform cannot be asked.
        """
        try:
            return (await self._client.get_run(run.id, insist=True)).facts().is_terminal
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            return True

    async def watch_for_copies(self) -> None:
        """
        Looks again and again whether another process starts runs of this batch, until cancelled.

        Raises:
            SecondCopy: one does.
        """
        await self._starter.watch_for_copies()

    def give_up_waits(self) -> None:
        """Ends all waits for runs at once; the runs go on, and the ledger knows them."""
        self._follower.give_up_waits()

    def _postpone(self, attempt: Attempt, error: PlatformError) -> Next:
        """
        Lets a job wait again whose start was refused for now; gives up on a platform long away.
        """
        now = anyio.current_time()
        again = Next(job=attempt.job, number=attempt.number, delay_secs=0.0, remedy=attempt.remedy)
        if isinstance(error, (NoRoom, PlanLimitReached)):
            self._away_since = None
            again = replace(again, refusal=error)
        elif error.error_type == CAP_BELOW_FLOOR:
            again = replace(again, floor_usd=floor_in(error.message, attempt.reserved_usd))
        else:
            delay = self._timings.postponed_secs * (0.5 + self._chance())
            if isinstance(error, TransientError):
                delay = max(delay, error.retry_after_secs or 0.0)
                self._away_since = self._away_since or now
                if now - self._away_since > self._away_secs:
                    raise error
            again = replace(again, delay_secs=delay)
        self._observer.start_postponed(attempt, str(error), again.delay_secs)
        return again

    async def _end(
        self,
        attempt: Attempt,
        outcome: Outcome,
        collected: Collected | None,
        *,
        run: Run | None = None,
        state: AttemptState = AttemptState.SETTLED,
    ) -> Over:
        """Records the end of an attempt, and what follows it."""
        verdict = (
            SETTLED if self._follower.is_aborting else await self._decide(attempt, outcome, run)
        )
        delay = verdict.delay_secs
        now = self._client.platform_now() or self._utc_now()
        ready_at = None if delay is None else now.timestamp() + delay
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
            may_cost=state is AttemptState.LOST,
        )

    async def _decide(self, attempt: Attempt, outcome: Outcome, run: Run | None) -> Verdict:
        if outcome.error is None:
            return SETTLED
        jitter, most = self._chance(), self._most_memory_mbytes
        if run is not None and run.resurrect_count is None and attempt.job.rules:
            # What an earlier process was told is not all in the ledger.
            run = replace(run, resurrect_count=await self._resurrect_count(run))
        verdict = partial(
            decide,
            attempt,
            outcome,
            run,
            jitter=jitter,
            most_memory_mbytes=most,
            first_delay_secs=self._timings.first_delay_secs,
        )
        try:
            return verdict()
        except LogNeeded:
            assert run is not None  # noqa: S101 - rules are for runs
            return verdict(log_end=await self._log_end(run))

    async def _resurrect_count(self, run: Run) -> int | None:
        try:
            return (await self._client.get_run(run.id, insist=True)).facts().resurrect_count
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            return None

    async def _log_end(self, run: Run) -> str:
        """The end of a run's log; empty when there is none."""
        end = b""
        try:
            # A log without an end must not hold the job up.
            with anyio.move_on_after(LOG_SECS):
                async with self._client.stream_log(run.id) as download:
                    async for chunk in download.chunks():
                        end = (end + chunk)[-LOG_END_BYTES:]
        except PlatformError as error:
            if error.concerns_every_job:
                raise
            self._observer.log_not_read(run, str(error))
        return end.decode("utf-8", "replace")


def _why_unproven(error: PlatformError) -> str:
    match error:
        case NotFound():
            return GONE
        case TruncatedBody():
            return FEWER
        case _:
            return REFUSED


def floor_in(message: str, refused_usd: Decimal | None) -> Decimal:
    """
    The least cap that an Actor takes, by the words of its refusal.

    Where they do not tell it, twice the refused one.
    """
    refused = refused_usd or Decimal(0)
    amounts = [Decimal(amount) for amount in re.findall(r"\$\s*(\d{1,9}(?:\.\d{1,9})?)", message)]
    return max([amount for amount in amounts if amount > refused], default=2 * refused)
