"""
One start request, and what its answer means.

A start is sent once. Its answer names the run, or proves that there is none, or is lost. When it is
lost, the run may exist, and only a search can find out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto

from orchestrator.apify import ApifyClient, Download
from orchestrator.errors import (
    NoRoom,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    RunFailed,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.ledger import Ledger
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.jobs import Job, Mode, RunOptions
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.ownership import MARK, mismatch
from orchestrator.scheduler.decide.start_gate import Gate
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.timings import TIMINGS, Timings

LEASE_MARGIN_SECS = 1.0

CAP_BELOW_FLOOR = "max-total-charge-usd-below-minimum"
"""The error type of a start whose cap on the cost is lower than the Actor accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPolicy:
    """
    How to find out whether a start has a run.

    Attributes:
        start_deadline_secs: how long a start may take to have its effect.
        settle_secs: how much later a run may still appear in the lists of the platform.
        away_secs: how long to wait while the answers to all starts are lost.
        on_unconfirmed: what to do when no run is found after that time.
    """

    start_deadline_secs: float = 30.0
    settle_secs: float = 15.0
    away_secs: float = 3600.0
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.ADOPT

    @property
    def needed_lease_secs(self) -> float:
        """How long a lease must last from a start until its run is in the lists; see `sender`."""
        until_listed_secs = self.start_deadline_secs + self.settle_secs
        return self.start_deadline_secs + until_listed_secs + LEASE_MARGIN_SECS


class Answered(Enum):
    """
    What a start answered that does not name its run.

    BY_A_RUN: the run has ended.
    """

    BY_A_RUN = auto()


class StartLost(Exception):
    """It stays unknown whether a start has a run; the message is for the report."""


class StartRefused(Exception):
    """
    The platform refuses the start for ever, or its input cannot be sent: there is no run.

    Attributes:
        error: what the platform said.
    """

    def __init__(self, error: PermanentError) -> None:
        super().__init__(str(error))
        self.error = error


class TargetHeld(Exception):
    """A start that has no run must not be sent again, because its Actor or task is held."""


class StartPostponed(Exception):
    """
    The start was refused for now, or could not be sent: no run, and the intent is withdrawn.

    Attributes:
        error: what the platform said.
    """

    def __init__(self, error: PlatformError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class StartParts:
    """
    What starts use.

    Attributes:
        read_input: returns the bytes to send for a job, with secrets; raises `InputRejected`.
        save_answer: saves the answer of a synchronous start.
        gate: counts the answers of the platform.
        utc_now: the wall clock.
        chance: random numbers from 0 to 1.
    """

    ledger: Ledger
    client: ApifyClient
    finder: RunFinder
    observer: Observer
    policy: StartPolicy
    read_input: Callable[[Job], Awaitable[bytes | None]]
    save_answer: Callable[[Job, Download], Awaitable[None]]
    gate: Gate
    utc_now: Callable[[], datetime]
    chance: Callable[[], float]
    timings: Timings = TIMINGS


class StartSender:
    """Sends starts."""

    def __init__(self, parts: StartParts) -> None:
        self._parts = parts
        self._has_warned = False

    async def send(
        self, attempt: Attempt, cap_usd: Decimal | None
    ) -> Run | Answered | RunFailed | StartUnconfirmed:
        """
        Sends one start request; in sync mode it returns when the run has ended.

        Returns:
            the run; or that there was one; or that there may be one, with the reason.

        Raises:
            StartPostponed, StartRefused, PlatformError: as `Starter.start`.
        """
        try:
            # Cases: a run, a run that failed, a lost answer, refused for now, refused for good.
            return await self._request(attempt, cap_usd)
        except RunFailed as error:
            return error
        except StartUnconfirmed as error:
            if not error.is_for_its_size:
                self._parts.gate.answer_lost(attempt.job.seq, error.message, loop_time())
            # A process that dies before this line leaves an intent, which leads to the same search.
            await self._parts.ledger.mark_unconfirmed(attempt, str(error))
            self._parts.observer.start_unconfirmed(str(error))
            return error
        except (NoRoom, PlanLimitReached, TransientError) as error:
            # The client raises these for a start only when it had no effect, so the intent may go.
            await self._parts.ledger.withdraw_intent(attempt)
            raise StartPostponed(error) from error
        except PermanentError as error:
            if error.error_type == CAP_BELOW_FLOOR and not attempt.caps_itself:
                await self._parts.ledger.withdraw_intent(attempt)
                raise StartPostponed(error) from error
            if error.concerns_every_job:
                await self._parts.ledger.withdraw_intent(attempt)
                raise
            is_resurrection = attempt.remedy.resurrects is not None
            self._parts.gate.refused(attempt.job.target, error, is_resurrection=is_resurrection)
            raise StartRefused(error) from error

    async def _request(self, attempt: Attempt, cap_usd: Decimal | None) -> Run | Answered:
        job, options = attempt.job, attempt.options
        if options.max_total_charge_usd is None and cap_usd is not None:
            options = replace(options, max_total_charge_usd=cap_usd)
        sent_at = loop_time()
        if attempt.remedy.resurrects is not None:
            await self._parts.ledger.hold_lease(self._parts.policy.needed_lease_secs)
            return self._checked(attempt, await self._resurrect(attempt, cap_usd), sent_at)
        # Rendered only now, because no file may hold the secrets of an input.
        body = await self._parts.read_input(job)
        # The last step before the request: no other process may search for its run before its end.
        await self._parts.ledger.hold_lease(self._parts.policy.needed_lease_secs)
        if job.mode is Mode.SYNC:
            await self._hold(attempt, options, body)
            return Answered.BY_A_RUN
        run = await self._parts.client.runs.start(
            job.target,
            body=body,
            content_type=job.input.content_type,
            options=options,
            mark=attempt.mark,
        )
        return self._checked(attempt, run.facts(), sent_at)

    def _checked(self, attempt: Attempt, run: Run, sent_at: float) -> Run:
        """
        Checks that the run in an answer is the run of the start, and returns it.

        Args:
            sent_at: when the start was sent, on the monotonic clock.

        Raises:
            StartUnconfirmed: it is not.
        """
        if attempt.platform_at is None:
            attempt = self._with_time(attempt, sent_at)
        reason = mismatch(attempt, run, self._parts.finder.claimed)
        if reason is not None:
            raise StartUnconfirmed(f"the start may have taken effect, but {reason}")
        if attempt.remedy.resurrects is None and not MARK.search(run.user_agent or ""):
            self._warn_of_hidden_agents(run)
        return run

    def _with_time(self, attempt: Attempt, sent_at: float) -> Attempt:
        """The attempt with the platform's time at its start, which the first answer may show."""
        platform_now = self._parts.client.platform_now()
        if platform_now is None:
            return attempt
        elapsed = timedelta(seconds=loop_time() - sent_at)
        return replace(attempt, platform_at=platform_now - elapsed)

    def _warn_of_hidden_agents(self, run: Run) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._parts.observer.agents_hidden(run)

    async def _resurrect(self, attempt: Attempt, cap_usd: Decimal | None) -> Run:
        """Resurrects the run of an earlier attempt; options that the remedy omits stay the same."""
        remedy = attempt.remedy
        assert remedy.resurrects is not None  # noqa: S101 - the caller's question
        options = RunOptions(
            timeout_secs=remedy.timeout_secs,
            memory_mbytes=remedy.memory_mbytes,
            build=remedy.build,
            max_total_charge_usd=cap_usd,
        )
        run = await self._parts.client.runs.resurrect(remedy.resurrects, options, mark=attempt.mark)
        return run.facts()

    async def _hold(self, attempt: Attempt, options: RunOptions, body: bytes | None) -> None:
        """Sends a synchronous start and saves its answer, which does not name the run."""
        job = attempt.job
        if job.collect.items and not job.collect.output:
            answer = self._parts.client.runs.run_sync_items(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                query=job.collect.query,
                mark=attempt.mark,
            )
        else:
            answer = self._parts.client.runs.run_sync(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                output_record_key=job.output_record_key,
                mark=attempt.mark,
            )
        async with answer as download:
            # A process that was stopped must not leave a file beside the results of another.
            await self._parts.ledger.hold_lease(LEASE_MARGIN_SECS)
            try:
                await self._parts.save_answer(job, download)
            except TransientError as error:
                raise StartUnconfirmed(f"the answer was cut off: {error}") from error
