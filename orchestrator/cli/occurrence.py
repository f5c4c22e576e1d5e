"""What `orchestrator run` does for an occurrence: performs the steps that are decided, in turn."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.apify.options import root_of
from orchestrator.app.batch.creation import RunRequest, prepared_batch
from orchestrator.app.batch.lifecycle import (
    Result,
    complete_batch,
    leave_behind,
    refuse_live_series,
    result_of,
    resume_batch,
    start_prepared,
)
from orchestrator.app.batch.spec_changes import heed_changes
from orchestrator.app.batch_folders import LEDGER, PLATFORM, Found, display, survey
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
from orchestrator.app.occurrences.schedules import occurrence_of, schedule_of
from orchestrator.app.occurrences.turn import occurrence_turn
from orchestrator.app.setup.context import BatchContext, client_options
from orchestrator.cli.batch_run import print_result
from orchestrator.cli.command_settings import choice_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import (
    BatchHeld,
    LeftForNextOccurrence,
    PlatformError,
    UsageError,
    WaitedTooLong,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import BatchLock
from orchestrator.ledger.amendments import add_later_resume
from orchestrator.ledger.lock import held_for
from orchestrator.ledger.reader import read_batch
from orchestrator.model.batches import LOCAL, Batch, LocalPlatformPlan, Series, Trigger
from orchestrator.model.ids import BatchName
from orchestrator.model.schedule import Schedule
from orchestrator.specfile import LoadedSpec

WORST_LAST = (0, 1, 3, 2)
ENDS_THE_CALL = frozenset({5, 70, 129, 130, 143})
ACCOUNT_SECS = 5.0
LOOK_EVERY_SECS = 1.0
LATE_HOURS = 4
RESUME_WITHIN_SECS = 7 * 86_400.0


@dataclass(frozen=True, kw_only=False)
class Asked:
    """What the command line asks for, with the spec that it names."""

    options: argparse.Namespace
    loaded: LoadedSpec
    context: BatchContext

    @cached_property
    def schedule(self) -> Schedule:
        """The occurrences of the spec."""
        return schedule_of(self.loaded.spec.batch)

    @property
    def home(self) -> Path:
        """The folder of the batches of this name."""
        return self.context.settings.output / self.loaded.spec.batch.name

    @property
    def platform(self) -> str:
        """The platform, as a series names it."""
        return LOCAL if self.options.local else root_of(self.context.settings.api_base_url)

    @property
    def is_json(self) -> bool:
        """Whether the answer is wanted as JSON."""
        return bool(self.options.json)

    def series(self, account: str | None) -> Series:
        """The series that is asked for."""
        return Series(
            name=BatchName(self.loaded.spec.batch.name),
            platform=self.platform,
            account=account,
            params=dict(self.options.param),
            choice=choice_of(self.options),
        )

    def request(
        self, occurrence: datetime, triggered_by: Trigger = Trigger.RUN, account: str | None = None
    ) -> RunRequest:
        """A new batch for an occurrence."""
        settings = self.context.settings
        return RunRequest(
            loaded=self.loaded,
            output=settings.output,
            params=dict(self.options.param),
            choice=choice_of(self.options),
            occurrence=occurrence,
            triggered_by=triggered_by,
            platform=self.platform,
            account=account,
            local=self._local_plan() if self.options.local else None,
            remote=settings.remote,
        )

    def heed_changes(self, folder: Path) -> None:
        """Compares the spec with that of a batch which is resumed; see `app.changes`."""
        heed_changes(folder, self.options.spec, accept=self.options.accept_changes)

    def _local_plan(self) -> LocalPlatformPlan:
        beside = self.options.spec.parent / "actors"
        actors = self.options.actors or ([beside] if beside.is_dir() else [])
        return LocalPlatformPlan(
            data_dir=str((self.context.settings.output / PLATFORM).absolute()),
            actors_dirs=tuple(str(path.absolute()) for path in actors),
        )


def run_new(asked: Asked, named: date | datetime | None = None) -> int:
    """
    Runs a new batch, whatever batches there are.

    Args:
        named: its occurrence, instead of the one of the command line.

    Raises:
        BatchHeld: another one of its series is live, and `--concurrent` is not given.
    """
    named = named or asked.options.occurrence
    occurrence = occurrence_of(named, asked.schedule, datetime.now(UTC))
    is_in_the_way = _nothing if asked.options.concurrent else refuse_live_series
    with prepared_batch(asked.request(occurrence)) as prepared:
        return _told(asked, start_prepared, prepared, asked.context, is_in_the_way)


def serve_occurrence(asked: Asked) -> int:
    """
    Does what `run --resume` has to do at this instant, and returns the exit code.

    Raises:
        BatchHeld: another process is at work for this occurrence.
        OrchestratorError: the batch of this occurrence could not begin.
    """
    now = datetime.now(UTC)
    named = asked.options.occurrence
    schedule = asked.schedule
    occurrence = occurrence_of(named, schedule, now)
    shown = occurrence.astimezone(schedule.zone).isoformat(timespec="minutes")
    _say(f"occurrence {shown}; {{{{ date }}}} is {schedule.day_of(occurrence)}")
    series = asked.series(_account(asked))
    batch = asked.loaded.spec.batch
    call = Call(
        now=now,
        occurrence=occurrence,
        opens_at=occurrence if named else schedule.opens_at(occurrence),
        series=series,
        spec=asked.loaded.path,
        is_named=named is not None,
        has_schedule=batch.schedule is not None,
        resume_within=timedelta(seconds=batch.resume_within or RESUME_WITHIN_SECS),
    )
    with occurrence_turn(asked.home, series, occurrence):
        return _Serving(asked, call).serve()


@dataclass
class _Serving:
    """
    One call of `run --resume` under way.

    Attributes:
        handled: batches of earlier occurrences that were dealt with.
    """

    asked: Asked
    call: Call
    handled: set[Path] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def serve(self) -> int:
        """This occurrence first, then the earlier ones."""
        step = self._decide_when_free().serve
        code = self._serve(step)
        if code in ENDS_THE_CALL:
            return code
        codes = {code}
        while earlier := self._next_of_earlier():
            code = self._tend(earlier)
            if code in ENDS_THE_CALL:
                return code
            codes.add(code)
        # A batch that was done before ends the call with its own code.
        return max(codes, key=WORST_LAST.index) if not isinstance(step, Nothing) else step.code

    def _decide(self) -> Decision:
        home = self.asked.home
        decision = decide(self.call, *known_batches(home, self.asked.loaded, self.asked.schedule))
        for sentence in decision.warnings:
            self._warn(sentence)
        for folder in decision.left:
            self._warn(
                f"{display(folder)} is interrupted and was resumed for two later occurrences; it "
                f"is left to you: orchestrator resume {display(folder)}"
            )
        return decision

    def _decide_when_free(self) -> Decision:
        """
        Waits until no batch of an earlier occurrence is live.

        Raises:
            WaitedTooLong: one was live for too long; this occurrence's batch is left behind.
        """
        longest = self.asked.context.settings.lock_wait_secs
        until = time.monotonic() + longest
        while (decision := self._decide()).waits_for:
            folder = decision.waits_for[0]
            self._warn(f"{display(folder)} is live; waiting for its end, up to {longest:g} s")
            if time.monotonic() >= until:
                error = WaitedTooLong(
                    f"{display(folder)} was live for longer than {longest:g} s (lock_wait_secs); "
                    "nothing was started for this occurrence"
                )
                if isinstance(decision.serve, RunNew):
                    with prepared_batch(self._request()) as prepared:
                        leave_behind(prepared, read_batch(prepared / LEDGER), error)
                raise error
            in_event_loop(_wait_for, folder, until - time.monotonic())
        return decision

    def _serve(self, step: Step) -> int:
        """Performs a step for this occurrence."""
        match step:
            case RunNew():
                self._warn_of_midnight()
                with prepared_batch(self._request()) as prepared:
                    start = (start_prepared, prepared, self.asked.context, _is_of_occurrence)
                    return _told(self.asked, *start)
            case Resume():
                return self._resume(step.folder, self.asked.context)
            case Complete():
                return self._complete(step.folder)
            case Nothing():
                return self._nothing(step)

    def _next_of_earlier(self) -> Resume | Complete | None:
        later = (step for step in self._decide().earlier if step.folder not in self.handled)
        return next(later, None)

    def _tend(self, step: Resume | Complete) -> int:
        """Performs a step for an earlier occurrence, unless another process holds the batch."""
        self.handled.add(step.folder)
        _say(f"{display(step.folder)}, of an earlier occurrence:")
        try:
            if isinstance(step, Complete):
                return self._complete(step.folder, is_earlier=True)
            leave_at = self.asked.schedule.after(max(self.call.now, self.call.occurrence))
            context = replace(self.asked.context, leave_at=leave_at)
            return self._resume(step.folder, context, is_earlier=True)
        except BatchHeld:
            _say("another process has taken it meanwhile")
            return 0
        except UsageError as error:
            # It cannot be resumed as it is, which is told and keeps nothing else from its end.
            _say(f"orchestrator: {error}")
            return error.exit_code

    def _resume(self, folder: Path, context: BatchContext, *, is_earlier: bool = False) -> int:
        with BatchLock(folder):
            if read_batch(folder / LEDGER).is_done:
                return self._complete_held(folder, is_earlier=is_earlier)
            if is_earlier:
                add_later_resume(folder / LEDGER, self.call.occurrence, datetime.now(UTC))
            else:
                self.asked.heed_changes(folder)
            return _told(self.asked, resume_batch, folder, context, is_earlier=is_earlier)

    def _complete(self, folder: Path, *, is_earlier: bool = False) -> int:
        with BatchLock(folder):
            return self._complete_held(folder, is_earlier=is_earlier)

    def _complete_held(self, folder: Path, *, is_earlier: bool) -> int:
        return _told(self.asked, complete_batch, folder, self.asked.context, is_earlier=is_earlier)

    def _nothing(self, step: Nothing) -> int:
        where = "" if step.folder is None else f"{display(step.folder)}: "
        if step.code == HELD:
            raise BatchHeld(f"{where}{step.reason}")
        if not step.then_earlier or step.folder is None:
            raise UsageError(f"{where}{step.reason}")
        _say(f"{where}{step.reason}")
        print_result(result_of(step.folder), as_json=self.asked.is_json)
        return step.code

    def _request(self) -> RunRequest:
        account = self.call.series.account
        return self.asked.request(self.call.occurrence, Trigger.RESUME, account)

    def _warn_of_midnight(self) -> None:
        if self.call.has_schedule or self.call.is_named:
            return
        left = self.asked.schedule.after(self.call.now) - self.call.now
        if left < timedelta(hours=LATE_HOURS):
            self._warn(
                "this batch begins shortly before midnight, and without `schedule` in [batch] a "
                "call after midnight is for another day: set schedule to the time of your timer"
            )

    def _warn(self, sentence: str) -> None:
        if sentence in self.warned:
            return
        self.warned.add(sentence)
        if self.asked.context.settings.log_format == "json":
            LOG.warning("occurrence_warning", message=sentence)
        else:
            _say(f"warning: {sentence}")


def backfill(asked: Asked, days: Sequence[date]) -> int:
    """
    A batch for each day that has none which succeeded; interrupted ones are resumed.

    Returns:
        the code of the day that was stopped early, which ends it; else 1 when jobs failed, else 0.
    """
    series = asked.series(None)
    worst = 0
    for day in days:
        occurrence = occurrence_of(day, asked.schedule, datetime.now(UTC))
        of_day = [
            one
            for one in survey(asked.home).found
            if one.batch.occurrence == occurrence and series.agrees(one.batch.series)
        ]
        if any(one.batch.is_done and one.batch.exit_code == 0 for one in of_day):
            _say(f"{day}: is there already")
            continue
        _say(f"{day}:")
        begun = next((one.folder for one in of_day if not one.batch.is_done), None)
        code = run_new(asked, day) if begun is None else _resume_day(asked, begun)
        if code not in (0, 1):
            return code
        worst = max(worst, code)
    return worst


def _resume_day(asked: Asked, folder: Path) -> int:
    with BatchLock(folder):
        asked.heed_changes(folder)
        return _told(asked, resume_batch, folder, asked.context)


def _told(
    asked: Asked, function: Callable[..., object], *args: object, is_earlier: bool = False
) -> int:
    """
    Drives a batch, prints how it went, and returns its exit code.

    The JSON on stdout is of the batch that serves the occurrence: others are told on stderr.
    """
    result: Result = in_event_loop(partial(function, *args))  # type: ignore[arg-type]
    print_result(result, as_json=asked.is_json, to_stderr=is_earlier)
    if isinstance(result.reason, LeftForNextOccurrence):
        return 0
    return result.batch.exit_code or 0


def _account(asked: Asked) -> str | None:
    """The user id; without one, that of the newest batch on this platform."""
    if asked.options.local:
        return None
    told = in_event_loop(_ask_account, asked.context)
    if told is not None:
        return told
    batches = (one.batch for one in survey(asked.home).found)
    return next((one.account for one in batches if one.platform == asked.platform), None)


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
                except PlatformError as error:
                    LOG.warning("platform_not_reached", error=str(error))
    return None


def _is_of_occurrence(batch: Batch, found: Found) -> bool:
    """Whether a batch is live that serves the same occurrence."""
    return refuse_live_series(batch, found) and found.batch.occurrence == batch.occurrence


def _nothing(_batch: Batch, _found: Found) -> bool:
    return False


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
