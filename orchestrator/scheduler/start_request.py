"""
One start request, and what its answer means.

A start is sent once. Its answer names the run, or says that there is none, or is lost: then the run
may exist, and only a search can tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto

import anyio

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
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.model.jobs import Job, Mode, RunOptions
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.ownership import MARK, doubt
from orchestrator.scheduler.decide.start_gate import Gate
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.timings import TIMINGS, Timings

CAP_BELOW_FLOOR = "max-total-charge-usd-below-minimum"
"""The type of a refusal of a cap on the cost that is lower than the Actor takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPolicy:
    """
    How starts are made sure of.

    Attributes:
        start_deadline_secs: how long a start may take to have its effect.
        settle_secs: how much later a run may still turn up in the platform's lists.
        away_secs: how long a platform that loses the answer to every start is waited for.
        on_unconfirmed: what to do when no run is found after all that time.
    """

    start_deadline_secs: float = 30.0
    settle_secs: float = 15.0
    away_secs: float = 3600.0
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.ADOPT


class Answered(Enum):
    """
    What is known after a start that was answered without naming its run.

    BY_A_RUN: there was a run, and it has ended.
    """

    BY_A_RUN = auto()


class StartLost(Exception):
    """The start stays unclear and is given up; the message is for the report."""


class StartRefused(Exception):
    """
    The platform refuses the start for good, or its input cannot be sent: there is no run.

    Attributes:
        error: what the platform said.
    """

    def __init__(self, error: PermanentError) -> None:
        super().__init__(str(error))
        self.error = error


class TargetHeld(Exception):
    """A start that has no run may not be sent again, since its Actor or task is held."""


class StartPostponed(Exception):
    """
    The start was refused for now, or could not be sent: no run, and the intent is taken back.

    Attributes:
        error: what the platform said.
    """

    def __init__(self, error: PlatformError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class StartParts:
    """
    What starts work with.

    Attributes:
        read_input: gives the bytes to send for a job, secrets rendered; raises `InputRejected`.
        save_answer: saves the answer of a synchronous start.
        gate: learns how the platform answers.
        utc_now: the wall clock.
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
        One start request, held to the run's end in sync mode.

        Returns:
            the run; or that there was one; or that there may be one, and why that is not known.
        """
        job, options = attempt.job, attempt.options
        if options.max_total_charge_usd is None and cap_usd is not None:
            options = replace(options, max_total_charge_usd=cap_usd)
        sent_at = anyio.current_time()
        try:
            if attempt.remedy.resurrects is not None:
                return self._believed(attempt, await self._resurrect(attempt, cap_usd), sent_at)
            body = await self._parts.read_input(job)
            if job.mode is Mode.SYNC:
                await self._hold(attempt, options, body)
                return Answered.BY_A_RUN
            run = await self._parts.client.start_run(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                mark=attempt.mark,
            )
            return self._believed(attempt, run.facts(), sent_at)
        except RunFailed as error:
            return error
        except StartUnconfirmed as error:
            self._parts.gate.doubts.add(job.seq, error.message, anyio.current_time())
            await self._parts.ledger.unconfirmed(attempt, str(error))
            self._parts.observer.start_unconfirmed(str(error))
            return error
        except (NoRoom, PlanLimitReached, TransientError) as error:
            await self._parts.ledger.withdraw(attempt)
            raise StartPostponed(error) from error
        except PermanentError as error:
            if error.error_type == CAP_BELOW_FLOOR and not attempt.caps_itself:
                await self._parts.ledger.withdraw(attempt)
                raise StartPostponed(error) from error
            if error.concerns_every_job:
                await self._parts.ledger.withdraw(attempt)
                raise
            is_resurrection = attempt.remedy.resurrects is not None
            self._parts.gate.refused(job.target, error, is_resurrection=is_resurrection)
            raise StartRefused(error) from error

    def _believed(self, attempt: Attempt, run: Run, sent_at: float) -> Run:
        """
        The run in the answer to a start.

        Args:
            sent_at: when the start was sent, on the monotonic clock.

        Raises:
            StartUnconfirmed: it cannot be the run of this start.
        """
        platform_now = self._parts.client.platform_now()
        if attempt.platform_at is None and platform_now is not None:
            # This very answer may be the first to tell the platform's time.
            elapsed = timedelta(seconds=anyio.current_time() - sent_at)
            attempt = replace(attempt, platform_at=platform_now - elapsed)
        reason = doubt(attempt, run, self._parts.finder.claimed)
        if reason is not None:
            raise StartUnconfirmed(f"the start may have taken effect, but {reason}")
        if attempt.remedy.resurrects is None and not MARK.search(run.user_agent or ""):
            self._warn_of_hidden_agents(run)
        return run

    def _warn_of_hidden_agents(self, run: Run) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._parts.observer.agents_hidden(run)

    async def _resurrect(self, attempt: Attempt, cap_usd: Decimal | None) -> Run:
        """Lets the run of an earlier attempt go on; what is not said stays as it was."""
        remedy = attempt.remedy
        assert remedy.resurrects is not None  # noqa: S101 - the caller's question
        options = RunOptions(
            timeout_secs=remedy.timeout_secs,
            memory_mbytes=remedy.memory_mbytes,
            build=remedy.build,
            max_total_charge_usd=cap_usd,
        )
        run = await self._parts.client.resurrect_run(remedy.resurrects, options, mark=attempt.mark)
        return run.facts()

    async def _hold(self, attempt: Attempt, options: RunOptions, body: bytes | None) -> None:
        """A synchronous start; its answer is saved as it comes, and does not tell the run's id."""
        job = attempt.job
        if job.collect.items and not job.collect.output:
            answer = self._parts.client.run_sync_items(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                query=job.collect.query,
                mark=attempt.mark,
            )
        else:
            answer = self._parts.client.run_sync(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                output_record_key=job.output_record_key,
                mark=attempt.mark,
            )
        async with answer as download:
            try:
                await self._parts.save_answer(job, download)
            except TransientError as error:
                raise StartUnconfirmed(f"the answer broke off: {error}") from error
