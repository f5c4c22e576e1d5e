"""
What a call of `run --resume` does, as a pure function of the batches on disk. No clock, no I/O.

The rules are numbered as in the design, section Commands. A call decides again after each step that
takes time, because other processes may have changed the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import groupby
from pathlib import Path

from orchestrator.model.batches import Series
from orchestrator.model.schedule import EARLY

RESTARTED_WITHIN = timedelta(hours=12)
"""Without a schedule, an interrupted batch that began within this time is resumed."""

MOST_LATER_RESUMES = 2
HELD = 4
USAGE = 2
SIGINT_CODE = 130


class State(Enum):
    """
    The state of a batch.

    LIVE: a process runs it. BUSY: another command works on it (`retry`, `resume`, `collect`).
    INTERRUPTED: by a signal, a crash, a platform that was away or refused the token, a full disk.
    DONE: ended, or stopped by its own rules or on request.
    """

    LIVE = auto()
    BUSY = auto()
    INTERRUPTED = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    A readable batch of the same name.

    Attributes:
        began_at: when it was made; aware UTC.
        exit_code: of the process that closed it last; None while it is open.
        lacks: whether results, reports, the upload or an announcement are missing after its last
            run.
        later_resumes: the later occurrences at which a call has resumed it.
        other_spec: the spec file that it was made from, if that is not the file of this call, still
            exists, still has the name and differs in content; else None.
        is_by_resume: whether `run --resume` made it.
    """

    folder: Path
    series: Series
    occurrence: datetime
    number: int
    state: State
    began_at: datetime
    exit_code: int | None = None
    lacks: bool = False
    later_resumes: frozenset[datetime] = frozenset()
    other_spec: Path | None = None
    is_by_resume: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Illegible:
    """A folder that may hold a batch and cannot be read."""

    folder: Path
    made_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One call of `run --resume`.

    Attributes:
        now: the instant at which it began; aware UTC.
        occurrence: the one that it is for.
        opens_at: from this time, calls are for this occurrence; shortly before it.
        is_named: whether the occurrence was given on the command line.
        has_schedule: whether the spec has a schedule.
        shares: whether several calls share the work of one batch (`--shard`).
        spec: path of its spec file.
    """

    now: datetime
    occurrence: datetime
    opens_at: datetime
    series: Series
    spec: Path
    is_named: bool = False
    has_schedule: bool = True
    shares: bool = False
    resume_within: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNew:
    """Makes the batch of the occurrence and runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Resumes a batch."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Makes what a done batch lacks besides runs."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """
    Starts nothing for this occurrence.

    Attributes:
        code: the exit code of the call.
        reason: for people.
        folder: of the batch that serves the occurrence; None if a mistake prevents it.
        then_earlier: whether earlier occurrences are served all the same.
    """

    code: int
    reason: str
    folder: Path | None = None
    then_earlier: bool = False


Step = RunNew | Resume | Complete | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    The steps of a call, and warnings for people.

    Attributes:
        waits_for: live batches of earlier occurrences that must end before anything starts.
        serve: for this occurrence.
        earlier: for earlier occurrences, the last one first.
        warnings: each a sentence.
        given_up: batches of earlier occurrences that only a person resumes.
    """

    waits_for: Sequence[Path] = ()
    serve: Step
    earlier: Sequence[Resume | Complete] = ()
    warnings: Sequence[str] = ()
    given_up: Sequence[Path] = ()


def decide(call: Call, batches: Sequence[Known], illegible: Sequence[Illegible] = ()) -> Decision:
    """
    The steps of a call, this occurrence first.

    Args:
        batches: all readable batches of the name, of every series, in any order.
        illegible: folders that cannot be read.
    """
    newer = [one for one in illegible if one.made_at > call.opens_at]
    if newer:
        return Decision(serve=_unreadable(newer[0]))
    present = [one for one in batches if not _is_in_future(call, one)]
    warnings = [_future(one) for one in batches if _is_in_future(call, one)]
    same = [one for one in present if call.series.agrees(one.series)]
    same.sort(key=lambda one: (one.number, one.began_at))
    serving = next((one for one in reversed(same) if _serves(call, one)), None)
    if serving is not None and serving.is_by_resume and serving.other_spec is not None:
        return Decision(serve=_two_specs(call, serving), warnings=warnings)
    warnings += _warn_of_other_specs(present)
    serve = _serve(call, serving)
    earlier = [one for one in same if one is not serving and one.occurrence < call.occurrence]
    if call.is_named:
        return Decision(serve=serve, warnings=warnings)
    waits_for = [one.folder for one in earlier if one.state is State.LIVE]
    steps, given_up = _serve_earlier(call, _newest_of_each(call, earlier))
    return Decision(
        waits_for=waits_for if isinstance(serve, RunNew | Resume) else (),
        serve=serve,
        earlier=steps,
        warnings=warnings,
        given_up=given_up,
    )


def _serves(call: Call, one: Known) -> bool:
    """Rule 1: whether a batch is the one of this occurrence."""
    if one.occurrence == call.occurrence:
        return True
    if call.is_named:
        return False
    if call.occurrence < one.occurrence <= call.now:
        return True
    is_restart = one.state is State.INTERRUPTED and call.now - one.began_at < RESTARTED_WITHIN
    return is_restart and not call.has_schedule


def _serve(call: Call, serving: Known | None) -> Step:
    """Rules 1, 4 and 5: the step for this occurrence."""
    if serving is None:
        return RunNew()
    folder = serving.folder
    match serving.state:
        case State.LIVE if call.shares:
            return Resume(folder=folder)
        case State.LIVE | State.BUSY:
            return Nothing(code=HELD, reason="another process works on it", folder=folder)
        case State.INTERRUPTED:
            return Resume(folder=folder)
        case State.DONE:
            code = serving.exit_code or 0
            if serving.lacks:
                return Complete(folder=folder)
            if not (call.has_schedule or call.is_named or call.shares):
                return Nothing(code=USAGE, reason=NO_SCHEDULE, folder=folder)
            return Nothing(code=code, reason=ALREADY, folder=folder, then_earlier=True)


ALREADY = "the batch of this occurrence is already done"
NO_SCHEDULE = (
    "today's batch is already done: a spec that runs more than once a day needs `schedule` in "
    '[batch], for example schedule = "0 * * * *"; plain `orchestrator run` starts another batch now'
)


def _newest_of_each(call: Call, earlier: Iterable[Known]) -> Iterator[Known]:
    """The newest batch of each earlier occurrence in `resume_within`, the last one first."""
    recent = [one for one in earlier if call.now - one.occurrence <= call.resume_within]
    recent.sort(key=lambda one: (one.occurrence, one.number), reverse=True)
    for _, of_one in groupby(recent, key=lambda one: one.occurrence):
        yield next(of_one)


def _serve_earlier(
    call: Call, earlier: Iterable[Known]
) -> tuple[list[Resume | Complete], list[Path]]:
    """Rules 2 and 4: the steps for earlier occurrences, and those that only a person resumes."""
    steps: list[Resume | Complete] = []
    given_up: list[Path] = []
    for one in earlier:
        if one.state is State.DONE and one.lacks:
            steps.append(Complete(folder=one.folder))
        if one.state is not State.INTERRUPTED or one.exit_code == SIGINT_CODE:
            continue
        resumes = one.later_resumes | {call.occurrence}
        if len(resumes) <= MOST_LATER_RESUMES:
            steps.append(Resume(folder=one.folder))
        else:
            given_up.append(one.folder)
    return steps, given_up


def _is_in_future(call: Call, one: Known) -> bool:
    return one.occurrence > call.now + EARLY and one.occurrence != call.occurrence


def _future(one: Known) -> str:
    return f"{one.folder}: its occurrence {one.occurrence} is in the future; it is ignored"


def _unreadable(one: Illegible) -> Nothing:
    return Nothing(
        code=USAGE,
        reason=f"{one.folder} cannot be read and may hold the batch of this occurrence: "
        f"{one.reason}; repair it, or move it out of {one.folder.parent}",
    )


def _two_specs(call: Call, serving: Known) -> Nothing:
    return Nothing(
        code=USAGE,
        reason=f"{serving.folder} was made from {serving.other_spec}, which has the same name as "
        f"{call.spec} and other content: give one of them another name in [batch]",
    )


def _warn_of_other_specs(present: Sequence[Known]) -> list[str]:
    """Rule 6, for batches of other occurrences: a sentence for each other spec file."""
    others = {one.other_spec: one for one in present if one.other_spec is not None}
    return [
        f"{one.folder} was made from {spec}, which has the same name and other content"
        for spec, one in others.items()
    ]
