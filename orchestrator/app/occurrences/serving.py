"""What `orchestrator run --resume` does: performs the steps that `decide` chose, one by one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.batch.batch_call import drive_batch
from orchestrator.app.batch.creation import RunRequest, prepared_batch
from orchestrator.app.batch.lifecycle import (
    complete_batch,
    publish_interrupted,
    refuse_second,
    result_of,
    resume_batch,
    start_prepared,
)
from orchestrator.app.batch_folders import LEDGER, display, survey
from orchestrator.app.notifications.announcement import (
    announce,
    announce_error,
    announce_given_up,
)
from orchestrator.app.occurrences.decide import (
    HELD,
    Call,
    Complete,
    Decision,
    Nothing,
    Resume,
    RunNew,
    Step,
    decide,
)
from orchestrator.app.occurrences.known import known_batches
from orchestrator.app.occurrences.schedules import occurrence_of
from orchestrator.app.occurrences.spec_run import SpecRun
from orchestrator.app.occurrences.turn import making_turn, occurrence_turn
from orchestrator.app.setup.context import BatchContext, Reporter, client_options
from orchestrator.app.setup.interruption import interruptible
from orchestrator.app.setup.ledger_server import wait_for_ledger
from orchestrator.errors import (
    BatchHeld,
    LedgerAway,
    OrchestratorError,
    PermanentError,
    PlatformError,
    UsageError,
    WaitedTooLong,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import BatchLock
from orchestrator.ledger.amendments import add_later_resume
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.lock import held_for
from orchestrator.ledger.store import BatchMade
from orchestrator.model.batches import Trigger
from orchestrator.pasted_command import pasted_command

# From the best to the worst: what can be resumed (3) is better than what a person must fix (2).
WORST_LAST = (0, 1, 3, 2)
# A lost platform, a bug or a signal would end the next batch in the same way.
ENDS_THE_CALL = frozenset({5, 70, 129, 130, 143})
# The account only helps to choose the series, so a silent platform must not hold up the call.
ACCOUNT_SECS = 5.0
LOOK_EVERY_SECS = 1.0
LATE_HOURS = 4
RESUME_WITHIN_SECS = 7 * 86_400.0


async def serve_occurrence(run: SpecRun) -> int:
    """
    Performs `run --resume` for the current occurrence, and returns the exit code.

    Begins again when it loses the server of the ledger at a place that does not wait for it.

    Raises:
        BatchHeld: another process works for this occurrence.
        OrchestratorError: the batch of this occurrence cannot start.
    """
    now = datetime.now(UTC)
    schedule = run.schedule
    occurrence = occurrence_of(run.named, schedule, now)
    shown = occurrence.astimezone(schedule.zone).isoformat(timespec="minutes")
    context = run.context
    context.reporter.note(f"occurrence {shown}; {{{{ date }}}} is {schedule.day_of(occurrence)}")
    while True:
        await interruptible(context.listening, wait_for_ledger, context.settings.platform_away_secs)
        try:
            return await _serve(run, occurrence, now)
        except LedgerAway as error:
            if error.was_awaited:
                raise
            context.reporter.warn(f"{error}; this call begins again")


async def _serve(run: SpecRun, occurrence: datetime, now: datetime) -> int:
    named, schedule = run.named, run.schedule
    series = run.series(await _account(run))
    batch = run.loaded.spec.batch
    call = Call(
        now=now,
        occurrence=occurrence,
        opens_at=occurrence if named else schedule.opens_at(occurrence),
        series=series,
        spec=run.loaded.path,
        is_named=named is not None,
        has_schedule=run.has_schedule,
        shares=run.shares,
        resume_within=timedelta(seconds=batch.resume_within or RESUME_WITHIN_SECS),
    )
    if run.shares:
        # Several calls work for one occurrence: the ledger keeps them apart.
        return await _Serving(run, call).serve()
    with occurrence_turn(run.home, series, occurrence):
        return await _Serving(run, call).serve()


@dataclass
class _Serving:
    """
    One call of `run --resume`.

    Attributes:
        seen: the batches that this call knew when it decided last.
        handled: batches of earlier occurrences that this call has worked on.
        warned: warnings that this call has printed.
    """

    run: SpecRun
    call: Call
    seen: frozenset[Path] = frozenset()
    handled: set[Path] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    async def serve(self) -> int:
        """Works on this occurrence, then on the earlier ones; returns the exit code."""
        step = (await self._decide_when_free()).serve
        code = await self._serve(step)
        if code in ENDS_THE_CALL:
            return code
        codes = {code}
        # Decided anew each time: another process may have changed the batches meanwhile.
        while earlier := await self._next_of_earlier():
            code = await self._perform_earlier(earlier)
            if code in ENDS_THE_CALL:
                return code
            codes.add(code)
        # A batch that was done before ends the call with its own code.
        return max(codes, key=WORST_LAST.index) if not isinstance(step, Nothing) else step.code

    async def _decide(self) -> Decision:
        home = self.run.home
        announces = self.run.context.announcer is not None
        known = known_batches(home, self.run.loaded, self.run.schedule, announces=announces)
        self.seen = frozenset(one.folder for one in known[0])
        decision = decide(self.call, *known)
        for sentence in decision.warnings:
            self._warn(sentence)
        for folder in decision.given_up:
            self._warn(
                f"{display(folder)} is interrupted and was resumed for two later occurrences, "
                f"which is the limit: run `{pasted_command('resume', display(folder))}`"
            )
            await announce_given_up(self.run.context, folder)
        return decision

    async def _decide_when_free(self) -> Decision:
        """
        Waits until no batch of an earlier occurrence is live.

        Raises:
            WaitedTooLong: one was live for too long; this occurrence's batch is left interrupted.
        """
        longest = self.run.context.settings.lock_wait_secs
        until = time.monotonic() + longest
        while (decision := await self._decide()).waits_for:
            folder = decision.waits_for[0]
            self._warn(f"{display(folder)} is live; waiting for its end, up to {longest:g} s")
            if time.monotonic() >= until:
                error = WaitedTooLong(
                    f"{display(folder)} was live for longer than {longest:g} s (lock_wait_secs); "
                    "nothing was started for this occurrence"
                )
                await self._leave_interrupted(decision.serve, error)
                raise error
            left = until - time.monotonic()
            await interruptible(self.run.context.listening, _wait_for, folder, left)
        return decision

    async def _leave_interrupted(self, step: Step, error: WaitedTooLong) -> None:
        """Leaves the batch of this occurrence for a later call, and announces that."""
        if isinstance(step, RunNew):
            with prepared_batch(self._request()) as prepared:
                left = await publish_interrupted(prepared, read_batch(prepared / LEDGER), error)
                await announce(self.run.context, left, error.exit_code)
        elif isinstance(step, Resume):
            await announce(self.run.context, result_of(step.folder), error.exit_code)

    async def _serve(self, step: Step) -> int:
        """Performs a step for this occurrence."""
        match step:
            case RunNew():
                self._warn_of_midnight()
                return await self._run_new()
            case Resume() | Complete() if self.run.shares:
                return await self._join(step.folder, self.run.context)
            case Resume():
                return await self._resume(step.folder, self.run.context)
            case Complete():
                return await self._complete(step.folder, self.run.context)
            case Nothing():
                return self._nothing(step)

    async def _run_new(self) -> int:
        if not self.run.shares:
            return await self._make_or_serve()
        serves = self.call.series.serves(self.call.occurrence)
        async with making_turn(serves, self.run.context.listening, self._reporter.note):
            step = (await self._decide()).serve
            if isinstance(step, RunNew):
                return await self._make_or_serve()
        return await self._serve(step)

    async def _make_or_serve(self) -> int:
        """Runs a new batch; if another call has made it meanwhile, decides again."""
        try:
            return await self._make()
        except BatchMade:
            step = (await self._decide()).serve
            if isinstance(step, RunNew):
                raise
        return await self._serve(step)

    async def _make(self) -> int:
        """Makes the batch of this occurrence and runs it."""
        objection = partial(refuse_second, seen=self.seen)
        with prepared_batch(self._request()) as prepared:
            return await drive_batch(start_prepared, prepared, self.run.context, objection)

    async def _join(self, folder: Path, context: BatchContext) -> int:
        """Works on a batch beside other processes."""
        with BatchLock(folder, is_shared=True):
            return await drive_batch(resume_batch, folder, context)

    async def _next_of_earlier(self) -> Resume | Complete | None:
        later = (step for step in (await self._decide()).earlier if step.folder not in self.handled)
        return next(later, None)

    async def _perform_earlier(self, step: Resume | Complete) -> int:
        """Performs a step for an earlier occurrence, unless another process holds the batch."""
        self.handled.add(step.folder)
        self._reporter.note(f"{display(step.folder)}, of an earlier occurrence:")
        try:
            if isinstance(step, Complete):
                return await self._complete(
                    step.folder, self._context_of_earlier(), is_earlier=True
                )
            # The work for earlier occurrences must end when the next occurrence comes.
            leave_at = self.run.schedule.after(max(self.call.now, self.call.occurrence))
            context = replace(self._context_of_earlier(), leave_at=leave_at, shard=None)
            return await self._resume(step.folder, context, is_earlier=True)
        except BatchHeld:
            self._reporter.note("another process holds it now; this call skips it")
            return 0
        except UsageError as error:
            # An earlier batch that cannot be resumed must not stop this occurrence's batch.
            self._reporter.note(f"orchestrator: {error}")
            return error.exit_code

    async def _resume(
        self, folder: Path, context: BatchContext, *, is_earlier: bool = False
    ) -> int:
        with BatchLock(folder):
            # Read again under the lock: another process may have ended the batch since the
            # decision.
            if read_batch(folder / LEDGER).is_done:
                return await self._complete_held(folder, context, is_earlier=is_earlier)
            if is_earlier:
                # Recorded before the batch is resumed: one that crashes each time is not tried for
                # ever.
                add_later_resume(folder / LEDGER, self.call.occurrence, datetime.now(UTC))
            else:
                self.run.handle_changes(folder)
            try:
                return await drive_batch(resume_batch, folder, context, is_earlier=is_earlier)
            except OrchestratorError as error:
                await announce_error(context, folder, error)
                raise

    async def _complete(
        self, folder: Path, context: BatchContext, *, is_earlier: bool = False
    ) -> int:
        with BatchLock(folder):
            return await self._complete_held(folder, context, is_earlier=is_earlier)

    async def _complete_held(self, folder: Path, context: BatchContext, *, is_earlier: bool) -> int:
        return await drive_batch(complete_batch, folder, context, is_earlier=is_earlier)

    def _context_of_earlier(self) -> BatchContext:
        """The context for a batch of an earlier occurrence: the pings are this occurrence's."""
        context = self.run.context
        announcer = context.announcer
        # The file of metrics shows the newest batch.
        return replace(context, announcer=announcer and announcer.of_earlier(), metrics=None)

    def _nothing(self, step: Nothing) -> int:
        where = "" if step.folder is None else f"{display(step.folder)}: "
        if step.code == HELD:
            raise BatchHeld(f"{where}{step.reason}")
        if not step.then_earlier or step.folder is None:
            raise UsageError(f"{where}{step.reason}")
        self._reporter.note(f"{where}{step.reason}")
        self._reporter.ended(result_of(step.folder), is_earlier=False)
        return step.code

    def _request(self) -> RunRequest:
        account = self.call.series.account
        return self.run.request(self.call.occurrence, Trigger.RESUME, account)

    def _warn_of_midnight(self) -> None:
        if self.call.has_schedule or self.call.is_named:
            return
        left = self.run.schedule.after(self.call.now) - self.call.now
        if left < timedelta(hours=LATE_HOURS):
            self._warn(
                f"this batch starts less than {LATE_HOURS} hours before midnight. Without "
                "`schedule` in [batch], a call after midnight belongs to the next day. Set "
                "schedule to the time of your timer"
            )

    def _warn(self, sentence: str) -> None:
        if sentence in self.warned:
            return
        self.warned.add(sentence)
        self._reporter.warn(sentence)

    @property
    def _reporter(self) -> Reporter:
        return self.run.context.reporter


async def _account(run: SpecRun) -> str | None:
    """The user id; without one, that of the newest batch on this platform."""
    if run.is_local:
        return None
    account = await interruptible(run.context.listening, _ask_account, run.context)
    if account is not None:
        return account
    batches = (one.batch for one in survey(run.home).found)
    return next((one.account for one in batches if one.platform == run.platform), None)


async def _wait_for(folder: Path, secs: float) -> None:
    """Returns when no process holds a batch, or after so many seconds."""
    with anyio.move_on_after(secs):
        while held_for(folder) is not None:  # noqa: ASYNC110 - the lock is another process's
            await anyio.sleep(LOOK_EVERY_SECS)


async def _ask_account(context: BatchContext) -> str | None:
    with anyio.move_on_after(ACCOUNT_SECS):
        async with context.connect(None) as endpoint:
            options = replace(
                client_options(endpoint, context.settings, context.timings), away_secs=0.0
            )
            async with ApifyClient(options) as client:
                try:
                    return (await client.account.get()).id
                except PermanentError as error:
                    LOG.warning("account_not_read", error=str(error))
                except PlatformError as error:
                    LOG.warning("platform_not_reached", error=str(error))
    return None
