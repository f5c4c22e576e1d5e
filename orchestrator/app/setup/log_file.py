"""
Structured logs: every event to the batch's `log.jsonl`, and what wants eyes to stderr.

Events are snake_case in the past tense. No line has a secret, or a character that steers a
terminal, whatever field it comes in.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from orchestrator.events import LOGGER
from orchestrator.safe_text import one_line, plain, without_secrets

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
DELETE = b"\x7f"
LONGEST_FACT = 2000
"""Characters of one fact where people read it."""


class LogSink(logging.Handler):
    """
    Where every event of this process goes.

    Args:
        as_json: whether stderr gets every event as JSON, or warnings as text.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._file = -1

    def open_file(self, path: Path) -> None:
        """From now on events are appended to this file too."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def close_file(self) -> None:
        """Ends the file, if there is one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Writes an event out."""
        facts = without_secrets(getattr(record, "facts", {}))
        event = {**facts, "event": record.getMessage()}
        event["level"] = record.levelname.lower()
        event["at"] = datetime.fromtimestamp(record.created, UTC)
        if record.exc_info:
            event["exception"] = plain("".join(traceback.format_exception(*record.exc_info)))
        line = _as_json(event)
        if self._file >= 0:
            try:
                os.write(self._file, line)
            except OSError:
                # A full disk must not end the batch here: the ledger's own writes tell of it.
                self.close_file()
        if self._as_json:
            sys.stderr.write(line.decode())
        elif record.levelno >= logging.WARNING:
            sys.stderr.write(_as_text(event) + "\n")


def configure_logs(*, level: str, as_json: bool) -> LogSink:
    """
    Sets the log up for this process and returns its sink.

    Args:
        level: the lowest that is logged: debug, info, warning or error.
        as_json: whether stderr gets every event as JSON.
    """
    sink = LogSink(as_json=as_json)
    LOGGER.handlers = [sink]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False
    # What nobody prints need not be found out (Python's logging how-to, "Optimization").
    logging._srcfile = None  # noqa: SLF001 - its documented switch
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return sink


def _as_json(event: Mapping[str, Any]) -> bytes:
    """A line of JSON in which whatever cannot be printed is escaped."""
    try:
        line = orjson.dumps(event, default=_told, option=LINE)
    except TypeError:
        # A name of a file that is not UTF-8.
        return json.dumps(event, default=_told).encode() + b"\n"
    if line.isascii() and DELETE not in line:
        return line
    text = "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]
        for char in line.decode()
    )
    return text.replace("\x7f", "\\u007f").encode()


def _told(value: object) -> str:
    return plain(str(value))


def _as_text(event: Mapping[str, Any]) -> str:
    hidden = {"event", "level", "at", "exception"}
    facts = " ".join(
        f"{name}={one_line(str(value), LONGEST_FACT)}"
        for name, value in event.items()
        if name not in hidden
    )
    return f"{event['level']}: {event['event'].replace('_', ' ')} {facts}".rstrip()
