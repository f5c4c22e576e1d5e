"""
The life of one attempt: intent, start, follow, collect, judge.

The ledger records each step before the next one. When the process is killed at any line, the ledger
tells the next process the state of the attempt, and a new life continues from there.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Protocol

import anyio

from orchestrator.errors import (
    NoRoom,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    StoppedEarly,
    TransientError,
)
from orchestrator.event_log import bound
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt, Collected, Outcome
from orchestrator.model.jobs import Job, demand_of
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus, RunStatus
from orchestrator.scheduler.decide.budget import least_cap_in
from orchestrator.scheduler.decide.feedback import Feedback
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.retries import (
    LogNeeded,
    Verdict,
    decide,
    outcome_of_check,
    outcome_of_refusal,
    outcome_of_run,
    outcome_of_unreadable,
    why_unproven,
)
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.follow import EndedRun
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.start_request import (
    CAP_BELOW_FLOOR,
    StartLost,
    StartPostponed,
    StartRefused,
    TargetHeld,
)
from orchestrator.scheduler.timings import CLOCK_GRAIN_SECS
from orchestrator.scheduler.verdict import verdict_of

PROBE_SECS = 20.0
"""How long a platform may take to answer before it counts as away."""


class Schedule(Protocol):
    """What the life of an attempt needs of the scheduler."""

    @property
    def usage(self) -> Usage:
        """What is in use of the limits."""
        ...

    @property
    def feedback(self) -> Feedback:
        """What the other jobs learn from this attempt."""
        ...

    async def wait_for_slot(self, queued: QueuedJob) -> None:
        """
        Releases the claim of a start, and takes it again before the start is sent again.

        Raises:
            TargetHeld: the start may not be sent again; the claim is held.
        """

    def collect_later(self, life: AttemptLife, due_at: float) -> None:
        """Calls `collect` when this time of the monotonic clock has come and a download is free."""

    def queue_again(self, queued: QueuedJob, remedy: Remedy) -> None:
        """Queues a job for its next attempt."""

    def count(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        """Counts a job by its last run, before its results are judged."""

    def count_back(self, status: JobStatus) -> None:
        """Removes a job from the count: another attempt follows."""

    def settle(
        self, job: Job, outcome: Outcome, verdict: Verdict, counted: JobStatus | None
    ) -> None:
        """
        Notes that a job has reached its final status.

        Args:
            counted: the status that `count` counted; None when it did not.
        """

    def leave_run(self) -> None:
        """Notes that a run continues, but is not followed any more."""

    def drain(self, reason: StoppedEarly) -> None:
        """Starts nothing more."""


class AttemptLife:
    """
    Takes one attempt through its states.

    `run` returns when its run has ended, and holds a slot. `collect` does the rest, and holds a
    download. Between the two, thousands may wait until the platform has counted their items: then
    the life keeps only what the ledger does not hold.

    Args:
        queued: the job's place in the queue, whose claim is held when `run` is called.
        attempt: of an earlier process; None for a new one.

    Attributes:
        has_failed_run: whether its run ended, and did not succeed.
    """

    __slots__ = (
        "_attempt",
        "_counted",
        "_ended",
        "_holds_slot",
        "_is_new",
        "_kept",
        "_parts",
        "_queued",
        "_schedule",
        "has_failed_run",
    )

    def __init__(
        self, parts: Parts, schedule: Schedule, queued: QueuedJob, attempt: Attempt | None = None
    ) -> None:
        self._parts = parts
        self._schedule = schedule
        self._queued = queued
        self._attempt = attempt
        # Else the process before this one may have sent the start, and begun the download.
        self._is_new = attempt is None
        self._ended: EndedRun | None = None
        # Why the run was aborted, and its last answer, as in `EndedRun`.
        self._kept: tuple[str | None, bytes | None] = None, None
        self._counted: JobStatus | None = None
        self._holds_slot = False
        self.has_failed_run = False

    async def run(self) -> None:
        """
        Starts the run, unless it is known, and follows it to its end.

        The claim is released on every way out.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch; the ledger holds the state.
        """
        self._holds_slot = True
        try:
            # The intent before the request: a crash between them leaves an intent to search for.
            attempt = self._attempt or await self._parts.intents.intend(self._queued)
            if attempt is None:
                return
            self._attempt = attempt
            with bound(job=attempt.job.key, attempt=attempt.number):
                run = attempt.run or await self._start(attempt)
                if run is not None:
                    with bound(run=run.id):
                        await self._follow(attempt, run)
        finally:
            self._release()

    def resume_ended(self) -> None:
        """Resumes an attempt whose run has already ended: it holds money, and no slot."""
        attempt = self._attempt
        assert attempt is not None and attempt.run is not None  # noqa: S101, PT018 - the caller's
        if self._schedule.usage.budget is not None:
            self._schedule.usage.budget.reserve(self._queued.claim.reserve_usd)
        self._wait_for_counts(EndedRun(attempt, attempt.run))

    async def collect(self) -> None:
        """
        Downloads the results of the run, judges them, and ends the attempt.

        Raises:
            StoppedEarly, PlatformError: of concern to the whole batch; nothing is judged yet.
        """
        ended = self._ended or await self._read_ended()
        attempt, run = ended.attempt, ended.run
        with bound(job=attempt.job.key, attempt=attempt.number, run=run.id):
            await self._collect(ended)

    async def _collect(self, ended: EndedRun) -> None:
        attempt, run = ended.attempt, ended.run
        try:
            collected = await self._parts.collector.collect(
                attempt.job, run, ended.run_json, number=attempt.number, is_new=self._is_new
            )
        except PlatformError as error:
            if not error.costs_its_job and not await self._is_only_reading_refused(run, error):
                raise
            why = Collected(unproven=why_unproven(error))
            await self._end(attempt, outcome_of_unreadable(run, error), collected=why, run=run)
            return
        outcome = outcome_of_run(run, ended.aborted_because)
        if outcome.error is None:
            complaint = await self._parts.acceptance.complaint(attempt.job, run, collected)
            outcome = outcome_of_check(run, complaint)
        await self._end(attempt, outcome, collected=collected, run=run)

    async def _start(self, attempt: Attempt) -> Run | None:
        """The run of the attempt; None when there is none: then it is over, or queued again."""
        claim = self._queued.claim
        try:
            run = await self._parts.starter.start(
                attempt,
                may_exist=not self._is_new,
                cap_usd=None if claim.caps_itself else claim.reserve_usd,
                wait_for_slot=partial(self._schedule.wait_for_slot, self._queued),
            )
        except StartPostponed as postponed:
            self._postpone(attempt, postponed.error)
        except StartLost as error:
            outcome = Outcome(status=JobStatus.FAILED, error=str(error), can_retry=False)
            await self._end(attempt, outcome, state=AttemptState.LOST)
        except (StartRefused, TargetHeld) as refused:
            outcome = outcome_of_refusal(str(refused))
            await self._end(attempt, outcome, state=AttemptState.FAILED)
        else:
            self._schedule.usage.started(loop_time())
            return run
        return None

    async def _follow(self, attempt: Attempt, run: Run) -> None:
        try:
            ended = await self._parts.follower.follow(attempt, run)
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            await self._end(attempt, outcome_of_unreadable(run, error), state=AttemptState.LOST)
            return
        if ended is None:
            self._schedule.leave_run()
            return
        # No await from here on: the job must be counted before another job takes the slot.
        self._release(keeps_money=True)
        self._wait_for_counts(ended)
        self._count_early(ended)

    def _postpone(self, attempt: Attempt, error: PlatformError) -> None:
        """
        Queues the job again, because its start was refused for now.

        Raises:
            TransientError: the platform has taken no start for `away_secs`.
        """
        self._release()
        delay, now, feedback = 0.0, loop_time(), self._schedule.feedback
        gate = self._schedule.usage.gate
        # Cases: no capacity or money, a cap below the Actor's floor, or no start is taken now.
        if isinstance(error, (NoRoom, PlanLimitReached)):
            gate.answered()
        elif error.error_type == CAP_BELOW_FLOOR:
            feedback.least_cap(
                attempt.job.target, least_cap_in(error.message, attempt.reserved_usd), now
            )
        else:
            delay = self._parts.timings.postponed_secs * (0.5 + self._parts.chance())
            if isinstance(error, TransientError):
                delay = max(delay, error.retry_after_secs or 0.0)
                if gate.away_secs(now) > self._parts.away_secs:
                    raise error
        self._parts.observer.start_postponed(str(error), delay)
        if isinstance(error, PlanLimitReached):
            self._schedule.drain(PlanExhausted(str(error)))
        elif isinstance(error, NoRoom):
            feedback.no_capacity(error, now)
        feedback.no_run(self._queued)
        self._queue_again(attempt.job, attempt.number, delay, attempt.remedy)

    def _wait_for_counts(self, ended: EndedRun) -> None:
        """Has an ended run collected as soon as the platform has counted its items."""
        now, due_at = loop_time(), self._counted_at(ended)
        feedback = self._schedule.feedback
        feedback.run_ended(ended.run, self._queued.claim, now)
        self.has_failed_run = ended.run.status != RunStatus.SUCCEEDED
        if self.has_failed_run:
            outcome = outcome_of_run(ended.run, ended.aborted_because)
            feedback.run_judged(ended.attempt, ended.run, outcome, now)
        self._attempt = None
        self._kept = ended.aborted_because, ended.run_json
        self._ended = ended if due_at <= now else None
        self._schedule.collect_later(self, due_at)

    def _counted_at(self, ended: EndedRun) -> float:
        """When all items of an ended run are counted, on the monotonic clock."""
        ended_at, passed_secs = ended.attempt.ended_at, 0.0
        platform_now = None if ended_at is None else self._parts.client.platform_now()
        if ended_at is not None and platform_now is not None:
            # Both are times of the platform: its clock may differ from ours, and ours may jump.
            passed_secs = (platform_now - ended_at).total_seconds() - CLOCK_GRAIN_SECS
        return loop_time() + max(0.0, self._parts.counts_settle_secs - max(0.0, passed_secs))

    def _count_early(self, ended: EndedRun) -> None:
        """
        Counts the job by its run alone, unless another attempt follows or a rule reads the log.

        It may stop the batch, and must do so before another job takes the slot.
        """
        outcome = outcome_of_run(ended.run, ended.aborted_because)
        try:
            verdict = decide(ended.attempt, outcome, ended.run, jitter=0.0)
        except LogNeeded:
            return
        if verdict.delay_secs is None:
            self._counted = outcome.status
            self._schedule.count(ended.attempt.job, outcome, verdict)

    async def _read_ended(self) -> EndedRun:
        """The ended run, as the ledger holds it."""
        queued, (because, run_json) = self._queued, self._kept
        attempt, stored = await self._parts.ledger.ended_attempt(queued.seq, queued.number)
        assert attempt.run is not None  # noqa: S101 - the ledger's own check
        return EndedRun(attempt, attempt.run, run_json or stored, because)

    async def _is_only_reading_refused(self, run: Run, error: PlatformError) -> bool:
        """Whether the platform answers, and only the results of the run cannot be read."""
        if error.concerns_every_job:
            return False
        with anyio.move_on_after(PROBE_SECS), suppress(PlatformError):
            await self._parts.client.runs.get(run.id)
            return True
        return False

    async def _end(
        self,
        attempt: Attempt,
        outcome: Outcome,
        *,
        collected: Collected | None = None,
        run: Run | None = None,
        state: AttemptState = AttemptState.SETTLED,
    ) -> None:
        """Records the end of the attempt, then settles its job or queues it again."""
        parts, schedule, job = self._parts, self._schedule, attempt.job
        verdict = await verdict_of(parts, attempt, outcome, run)
        delay = verdict.delay_secs
        ready_at = None
        if delay is not None:
            ready_at = (parts.client.platform_now() or parts.utc_now()).timestamp() + delay
        # Durable before anything follows from it: a crash before this line leaves the attempt open.
        await parts.ledger.mark_over(
            attempt, outcome, collected, state=state, ready_at=ready_at, remedy=verdict.remedy
        )
        parts.observer.attempt_over(attempt, outcome, collected, delay)
        self._release()
        if state is AttemptState.LOST:
            schedule.feedback.run_lost(self._queued.claim)
        if run is None:
            schedule.feedback.no_run(self._queued)
        elif run.status == RunStatus.SUCCEEDED:
            schedule.feedback.run_judged(attempt, run, outcome, loop_time())
        if delay is None:
            schedule.settle(job, outcome, verdict, self._counted)
            return
        if self._counted is not None:
            schedule.count_back(self._counted)
        self._queue_again(job, attempt.number + 1, delay, verdict.remedy)

    def _queue_again(self, job: Job, number: int, delay_secs: float, remedy: Remedy) -> None:
        now, schedule = loop_time(), self._schedule
        # The jobs of a held target are refused at once.
        is_held = job.target in schedule.usage.gate.breaker.held
        again = self._queued._replace(
            number=number,
            claim=schedule.feedback.raised(self._parts.claim_of(demand_of(job), remedy)),
            ready_at=now if is_held else now + delay_secs,
        )
        schedule.queue_again(again, remedy)

    def _release(self, *, keeps_money: bool = False) -> None:
        """Releases the claim, once."""
        if self._holds_slot:
            self._holds_slot = False
            self._schedule.usage.release(self._queued.claim, keeps_money=keeps_money)
