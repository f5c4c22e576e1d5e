"""
The event log: every event to the batch's `log.jsonl`, and warnings to stderr.

An event is a name in snake_case and past tense, with facts: `LOG.info("results_merged", rows=3)`.
Debug explains a decision, info marks a change of state, a warning names what a person should know,
an error is a bug.

What many events have in common (`batch_id`, `job`, `attempt`, `run`) is bound once, by `bound`, in
the task that it is about; a fact of the event itself wins over it. A thread sees what is bound
where it runs in a copy of the task's context.

No fact of a line shows a secret, or has a character that controls a terminal. A log that cannot be
written never ends a batch.

A command has one log for its process. The Python API has one for each batch, and leaves structlog's
configuration to the program of its user.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from orchestrator.safe_text import SECRETS, one_line, plain, without_secrets


class _CurrentLog:
    """Passes each event to the logger of its context, or else to the logger of the process."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_IN_CONTEXT.get() or _process.logger, name)

    @property
    def info(self) -> Any:
        """The level of each job's events: found without the failed look-up before `__getattr__`."""
        return (_IN_CONTEXT.get() or _process.logger).info


LOG = cast("FilteringBoundLogger", _CurrentLog())

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
DELETE = b"\x7f"
# A link must not lead what an Actor said into another file, and a pipe must not be waited for.
LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
LONGEST_FACT = 2000
"""Characters of one fact where people read it."""

FIRST_FACTS = ("job", "attempt", "run")
GROUPED_EVENTS = frozenset({"attempt_failed", "job_settled", "job_skipped"})
"""
What happens to single jobs: text on stderr leaves it out, because thousands may fail for one cause,
and the command prints each cause once.
"""
NOT_IN_TEXT = frozenset({"event", "level", "at", "exception", "batch_id", *FIRST_FACTS})


_FACTS: ContextVar[Mapping[str, Any]] = ContextVar("facts", default=MappingProxyType({}))


class bound:  # noqa: N801 - reads as a verb: `with bound(job=key):`
    """
    Binds facts to all events within a block, also to those of the tasks that it starts.

    One variable for all facts: `structlog.contextvars` has one for each, and takes six times as
    long. Each job needs this three times.
    """

    __slots__ = ("_facts", "_token")

    def __init__(self, **facts: object) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._token = _FACTS.set({**_FACTS.get(), **self._facts})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _FACTS.reset(self._token)


def bound_facts() -> Mapping[str, Any]:
    """What is bound here."""
    return _FACTS.get()


def add_bound(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds what is bound to an event: a processor of structlog."""
    for name, value in _FACTS.get().items():
        event.setdefault(name, value)
    return event


class LogSink:
    """
    Where every event of this process goes: structlog's logger at the end of its processors.

    Args:
        as_json: whether stderr gets every event as JSON, or warnings as text.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._file = -1

    def open_file(self, path: Path) -> None:
        """
        From now on events are appended to this file too.

        Raises:
            OSError: it cannot be opened; also a link, or a pipe that nobody reads.
        """
        self._file = os.open(path, LOG_FLAGS, 0o644)

    def close_file(self) -> None:
        """Ends the file, if there is one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def info(self, line: bytes, _event: EventDict) -> None:
        """Writes an event out, given as its line and as its facts."""
        if self._file >= 0:
            try:
                # One call for the whole line: threads and processes append to the same file.
                os.write(self._file, line)
            except OSError as error:
                # A full disk must not end the batch here: the ledger's own writes report it.
                self.close_file()
                self._warn_of_loss(error)
        if self._as_json:
            sys.stderr.write(line.decode())

    def warning(self, line: bytes, event: EventDict) -> None:
        """Writes out an event that people see, too."""
        self.info(line, event)
        if not self._as_json and event["event"] not in GROUPED_EVENTS:
            self._show(event)

    def _show(self, event: EventDict) -> None:
        sys.stderr.write(_as_text(event) + "\n")

    def _warn_of_loss(self, error: OSError) -> None:
        """Says once that the file of the log gets no more events."""
        event = {
            "event": "log_not_written",
            "level": "warning",
            "reason": error.strerror,
            "consequence": "the batch continues without its log",
        }
        if self._as_json:
            sys.stderr.write(_as_json(event).decode())
        else:
            self._show(event)

    debug = info
    error = critical = warning


class LibrarySink(LogSink):
    """
    Where the events of one batch of the Python API go: to the file of the batch.

    Warnings and errors also go to the logger `orchestrator` of Python's `logging`, which belongs to
    the user's program.
    """

    def __init__(self) -> None:
        super().__init__(as_json=False)

    def _show(self, event: EventDict) -> None:
        level = logging.getLevelNamesMapping()[event["level"].upper()]
        logging.getLogger("orchestrator").log(level, "%s", _as_text(event))


def logger_to(target: object, level: str, processors: Sequence[Processor]) -> FilteringBoundLogger:
    """
    A logger that depends on no configuration of the process.

    Args:
        target: what is called at the end of the processors.
        level: the lowest that is logged: debug, info, warning or error.
    """
    logger: FilteringBoundLogger = structlog.wrap_logger(
        target,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind()
    return logger


def configure_logs(*, level: str, as_json: bool) -> LogSink:
    """
    Sets the log up for this process and returns its sink.

    Args:
        level: the lowest that is logged: debug, info, warning or error.
        as_json: whether stderr gets every event as JSON.
    """
    sink = LogSink(as_json=as_json)
    log_to(logger_to(sink, level, PROCESSORS))
    return sink


@contextmanager
def logging_through(sink: LogSink, *, level: str) -> Iterator[None]:
    """Within the block, and in the tasks that it starts, events go to this sink only."""
    token = _IN_CONTEXT.set(logger_to(sink, level, PROCESSORS))
    try:
        yield
    finally:
        _IN_CONTEXT.reset(token)


def log_to(logger: FilteringBoundLogger) -> None:
    """Sets the logger of this process."""
    _process.logger = logger


def discard_events() -> None:
    """Lets events of this process go nowhere, as before `configure_logs`."""
    log_to(_discarding())


def _discard(_logger: WrappedLogger, _method: str, _event: EventDict) -> NoReturn:
    raise structlog.DropEvent


def _add_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if event.pop("exc_info", False):
        event["exception"] = plain(traceback.format_exc())
    return event


def _add_level_and_time(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["level"] = method
    event["at"] = datetime.now(UTC)
    return event


def _render(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> tuple[tuple[bytes, EventDict], dict[str, Any]]:
    """The arguments with which the sink is called: no secret is in them."""
    line = _as_json(event)
    # A search in bytes is cheap; the facts are walked only if it finds a secret.
    if SECRETS.are_in(line):
        event = without_secrets(event)
        line = _as_json(event)
    return (_printable(line), event), {}


def _as_json(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=_as_plain_text, option=LINE)
    except TypeError:
        # A name of a file that is not UTF-8.
        return json.dumps(event, default=_as_plain_text).encode() + b"\n"


def _printable(line: bytes) -> bytes:
    """A line of JSON in which all that cannot be printed is escaped."""
    # Not `in`, which first tries to read the bytes as a number.
    if line.isascii() and line.find(DELETE) < 0:
        return line
    text = "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]
        for char in line.decode()
    )
    return text.replace("\x7f", "\\u007f").encode()


def _as_plain_text(value: object) -> str:
    return plain(str(value))


def _as_text(event: Mapping[str, Any]) -> str:
    names = [name for name in FIRST_FACTS if name in event]
    names += [name for name in event if name not in NOT_IN_TEXT]
    facts = " ".join(f"{name}={one_line(str(event[name]), LONGEST_FACT)}" for name in names)
    return f"{event['level']}: {event['event'].replace('_', ' ')} {facts}".rstrip()


def _discarding() -> FilteringBoundLogger:
    return logger_to(structlog.ReturnLogger(), "critical", [_discard])


# Rendered last: secrets are looked for in the line, which a traceback is a part of.
PROCESSORS: Sequence[Processor] = [add_bound, _add_exception, _add_level_and_time, _render]


class _Process:
    """The logger of the process, where the context has none."""

    def __init__(self) -> None:
        self.logger = _discarding()


_process = _Process()
_IN_CONTEXT: ContextVar[FilteringBoundLogger | None] = ContextVar("logger", default=None)
