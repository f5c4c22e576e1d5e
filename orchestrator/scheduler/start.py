"""
From an intent to a run: one start request, and when its answer is lost, the search for its run.

A start is sent again only when the platform shows no run of the first send, and its intent is older
than the start's own deadline plus the time after which a run is in the lists. Killed anywhere, the
ledger holds the intent, and the next process begins with the search.
"""

from __future__ import annotations

import math
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
from orchestrator.scheduler.decide.start_gate import Gate, Tally
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_search import Look, RunFinder
from orchestrator.scheduler.timings import Timings

CLOCK_GRAIN_SECS = 1.0
"""The platform's `Date` tells whole seconds."""

CAP_BELOW_FLOOR = "max-total-charge-usd-below-minimum"
"""The type of a refusal of a cap on the cost that is lower than the Actor takes."""

MOST_ALIKE = 3


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


class Starter:
    """
    Starts the runs of attempts.

    Args:
        read_input: gives the bytes to send for a job, secrets rendered; raises `InputRejected`.
        save_answer: saves the answer of a synchronous start.
        gate: learns how the platform answers.
        utc_now: the wall clock.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        finder: RunFinder,
        orphans: Orphans,
        observer: Observer,
        policy: StartPolicy,
        read_input: Callable[[Job], Awaitable[bytes | None]],
        save_answer: Callable[[Job, Download], Awaitable[None]],
        gate: Gate,
        utc_now: Callable[[], datetime],
        timings: Timings,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._finder = finder
        self._orphans = orphans
        self._observer = observer
        self._policy = policy
        self._read_input = read_input
        self._save_answer = save_answer
        self._gate = gate
        self._has_warned = False
        self._utc_now = utc_now
        self._timings = timings

    async def start(
        self,
        attempt: Attempt,
        *,
        may_exist: bool = False,
        cap_usd: Decimal | None = None,
        wait_for_room: Callable[[], Awaitable[None]],
    ) -> Run:
        """
        Gives an attempt its run, and records it.

        Args:
            attempt: with an open intent.
            may_exist: whether its start may have been sent already, by a process that died: then
                its run is looked for first.
            cap_usd: the most that the run may cost, unless its job says so itself.
            wait_for_room: called when there is no run, before the start is sent again.

        Raises:
            StartLost: it stays unclear, and no further send is allowed.
            StartPostponed: not started, and the intent is taken back.
            StartRefused: not started.
            NotAuthorized: not started, and the intent is taken back.
            PlatformError: the run cannot be looked for, or the answers to all starts are lost; the
                intent stays.

        Cancellation: the intent stays; the next process searches before it sends.
        """
        sent: Run | Answered | RunFailed | StartUnconfirmed | None = None
        tally = Tally()
        while True:
            began_at = None
            if not may_exist:
                run = await self._unsent(attempt)
                if run is not None:
                    await self._record(attempt, run, adopted=True)
                    return run
                began_at = anyio.current_time()
                sent = await self._send(attempt, cap_usd)
                if isinstance(sent, Run):
                    await self._record(attempt, sent, adopted=False)
                    return sent
            run = await self._find(attempt, began_at)
            if run is not None:
                await self._record(attempt, run, adopted=not isinstance(sent, Answered | RunFailed))
                return run
            await self._ledger.give_up(attempt)
            self._finder.give_up(attempt)
            if sent is Answered.BY_A_RUN:
                raise StartLost("a run answered the start, but the platform's lists do not show it")
            self._check_patience(sent if isinstance(sent, PlatformError) else None, tally)
            await wait_for_room()
            attempt = await self._ledger.send_again(
                attempt, self._utc_now(), platform_at=self._client.platform_now()
            )
            may_exist = False

    async def look_for_orphans(self) -> None:
        """Ends the runs that belong to no attempt."""
        await self._finder.look_for_orphans()
        await self._orphans.end_spares()

    async def end_spares(self, seq: int) -> None:
        """Ends the runs that another process started for a job and that no attempt of it takes."""
        await self._orphans.end_spares(seq)

    async def watch_for_copies(self) -> None:
        """
        Looks again and again whether another process starts runs of this batch, until cancelled.

        Raises:
            SecondCopy: one does.
        """
        await self._finder.watch_for_copies()

    async def _send(
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
            body = await self._read_input(job)
            if job.mode is Mode.SYNC:
                await self._hold(attempt, options, body)
                return Answered.BY_A_RUN
            run = await self._client.start_run(
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
            self._gate.doubts.add(job.seq, error.message, anyio.current_time())
            await self._ledger.unconfirmed(attempt, str(error))
            self._observer.start_unconfirmed(attempt, str(error))
            return error
        except (NoRoom, PlanLimitReached, TransientError) as error:
            await self._ledger.withdraw(attempt)
            raise StartPostponed(error) from error
        except PermanentError as error:
            if error.error_type == CAP_BELOW_FLOOR and not attempt.caps_itself:
                await self._ledger.withdraw(attempt)
                raise StartPostponed(error) from error
            if error.concerns_every_job:
                await self._ledger.withdraw(attempt)
                raise
            is_resurrection = attempt.remedy.resurrects is not None
            self._gate.refused(job.target, error, is_resurrection=is_resurrection)
            raise StartRefused(error) from error

    def _believed(self, attempt: Attempt, run: Run, sent_at: float) -> Run:
        """
        The run in the answer to a start.

        Args:
            sent_at: when the start was sent, on the monotonic clock.

        Raises:
            StartUnconfirmed: it cannot be the run of this start.
        """
        platform_now = self._client.platform_now()
        if attempt.platform_at is None and platform_now is not None:
            # This very answer may be the first to tell the platform's time.
            elapsed = timedelta(seconds=anyio.current_time() - sent_at)
            attempt = replace(attempt, platform_at=platform_now - elapsed)
        reason = doubt(attempt, run, self._finder.claimed)
        if reason is not None:
            raise StartUnconfirmed(f"the start may have taken effect, but {reason}")
        if attempt.remedy.resurrects is None and not MARK.search(run.user_agent or ""):
            self._warn_of_hidden_agents(run)
        return run

    def _warn_of_hidden_agents(self, run: Run) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._observer.agents_hidden(run)

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
        run = await self._client.resurrect_run(remedy.resurrects, options, mark=attempt.mark)
        return run.facts()

    async def _hold(self, attempt: Attempt, options: RunOptions, body: bytes | None) -> None:
        """A synchronous start; its answer is saved as it comes, and does not tell the run's id."""
        job = attempt.job
        if job.collect.items and not job.collect.output:
            answer = self._client.run_sync_items(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                query=job.collect.query,
                mark=attempt.mark,
            )
        else:
            answer = self._client.run_sync(
                job.target,
                body=body,
                content_type=job.input.content_type,
                options=options,
                output_record_key=job.output_record_key,
                mark=attempt.mark,
            )
        async with answer as download:
            try:
                await self._save_answer(job, download)
            except TransientError as error:
                raise StartUnconfirmed(f"the answer broke off: {error}") from error

    async def _record(self, attempt: Attempt, run: Run, *, adopted: bool) -> None:
        """
        Records the run of an attempt.

        Raises:
            StartLost: another attempt has it.
        """
        if attempt.remedy.resurrects is None and run.id in self._finder.claimed:
            raise StartLost(f"run {run.id} was found for this start, but another attempt has it")
        self._finder.claim(run.id, attempt.job.target)
        self._gate.accepted(attempt.job.target)
        await self._ledger.started(attempt, run, adopted=adopted)
        self._observer.run_started(attempt, run, adopted=adopted)
        await self._orphans.end_spare(attempt)

    async def _unsent(self, attempt: Attempt) -> Run | None:
        """
        A run that this attempt has already, though nobody here has sent its start.

        Another process may have, on a copy of the ledger or on what a backup does not hold.
        """
        if attempt.remedy.resurrects is not None:
            return (await self._look(attempt)).run
        return self._orphans.spare_of(attempt)

    async def _find(self, attempt: Attempt, began_at: float | None) -> Run | None:
        """
        Looks for the run of a send, at once and again, until it cannot appear any more.

        Args:
            began_at: when it was sent, on the monotonic clock; None when another process did it.

        Raises:
            StartLost: the lists do not show whether there is one.
        """
        settle_secs = self._policy.settle_secs
        absent_at = doubted_at = math.inf
        while True:
            looked_at = anyio.current_time()
            look = await self._look(attempt)
            if look.run is not None:
                return look.run
            if absent_at == math.inf:
                # A platform that was silent may do now what it was asked meanwhile.
                absent_at = anyio.current_time() + settle_secs
                absent_at = max(absent_at, self._absent_at(attempt, began_at))
            # Only a look that began after the deadline can show that there is nothing. A list that
            # was refused is asked for again: one odd answer would leave the start unclear.
            if looked_at >= absent_at:
                doubted_at = min(doubted_at, looked_at)
                if look.is_proof or looked_at >= doubted_at + self._timings.list_patience_secs:
                    return await self._find_otherwise(attempt, look)
            await anyio.sleep(self._timings.search_interval_secs)

    def _absent_at(self, attempt: Attempt, began_at: float | None) -> float:
        """
        From when on the run of a send cannot appear any more, on the monotonic clock.

        The wall clock has no say. What an earlier process sent is as old as the platform's clock
        shows, and where that is not known, it was sent just now.
        """
        wait_secs = self._timings.sync_wait_secs if attempt.job.mode is Mode.SYNC else 0
        longest = self._policy.start_deadline_secs + wait_secs + self._policy.settle_secs
        if began_at is not None:
            return began_at + longest
        passed = 0.0
        platform_now = self._client.platform_now()
        if attempt.platform_at is not None and platform_now is not None:
            passed = (platform_now - attempt.platform_at).total_seconds() - CLOCK_GRAIN_SECS
        return anyio.current_time() + longest - min(max(0.0, passed), longest)

    async def _look(self, attempt: Attempt) -> Look:
        """
        The run of a send, as far as the platform shows it now; a resurrection by the run's count.
        """
        remedy = attempt.remedy
        if remedy.resurrects is None:
            look = await self._finder.find(attempt)
            is_taken = look.run is not None and look.run.id in self._finder.claimed
            return replace(look, run=None) if is_taken else look
        try:
            run = (await self._client.get_run(remedy.resurrects, insist=True)).facts()
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            raise StartLost(f"whether the run was resurrected is not known: {error}") from error
        if run.resurrect_count is None:
            has_begun = not run.is_terminal
        else:
            has_begun = run.resurrect_count > remedy.resurrect_count
        return Look(run if has_begun else None, is_proof=True)

    async def _find_otherwise(self, attempt: Attempt, look: Look) -> Run | None:
        """
        The last resorts, when no list shows a run with the mark of the send.

        Raises:
            StartLost: the lists do not show whether there is one.
        """
        if attempt.remedy.resurrects is not None:
            return None
        run = self._orphans.spare_of(attempt)
        if run is None and self._policy.on_unconfirmed is OnUnconfirmed.ADOPT:
            body = await self._read_input(attempt.job)
            run = await self._finder.find_by_input(attempt, body)
        may_restart = look.is_proof or self._policy.on_unconfirmed is OnUnconfirmed.RESTART
        if run is None and not may_restart:
            raise StartLost(
                "the answer to the start was lost, and no list that this token may read shows "
                "whether there is a run of it. Look for it in the Console; a token that may "
                f"list the runs of {attempt.job.target} would show it"
            )
        return run

    def _check_patience(self, lost_as: PlatformError | None, tally: Tally) -> None:
        """
        Raises when a start that has no run must not be sent again.

        Args:
            lost_as: how its answer was lost; None when an earlier process sent it.
        """
        if self._policy.on_unconfirmed is OnUnconfirmed.FAIL:
            raise StartLost(
                "the answer to the start was lost and no run of it was found; "
                'on_unconfirmed = "fail" forbids a second start'
            )
        if lost_as is None:
            return
        doubts = self._gate.doubts
        if (
            doubts.since is not None
            and anyio.current_time() - doubts.since > self._policy.away_secs
        ):
            raise lost_as
        if tally.add(lost_as.message, doubts.accepted) >= MOST_ALIKE:
            raise StartLost(
                f"the start was sent {MOST_ALIKE} times between starts of other jobs that were "
                f"accepted; its answer was lost each time, and no run of it was found: "
                f"{lost_as.message}"
            )
