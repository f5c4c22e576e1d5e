"""
Structured logs: every event to the batch's `log.jsonl`, and what wants eyes to stderr.

Events are snake_case in the past tense. Secrets that are known here are blotted out of every line,
whatever field they come in.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from orchestrator.events import LOGGER

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
BLOT = b"[secret]"
SHORTEST_SECRET = 6
"""
Shorter strings are no secrets worth the damage that blotting them out everywhere would do.
"""


class LogSink(logging.Handler):
    """
    Where every event of this process goes.

    Args:
        as_json: whether stderr gets every event as JSON, or warnings as text.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._secrets: list[bytes] = []
        self._file = -1

    def hide(self, secret: SecretStr | None) -> None:
        """
        Blots a secret out of all later lines.
        """
        if secret is not None and len(secret.get_secret_value()) >= SHORTEST_SECRET:
            self._secrets.append(secret.get_secret_value().encode())

    def open_file(self, path: Path) -> None:
        """
        From now on events are appended to this file too.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def close_file(self) -> None:
        """
        Ends the file, if there is one.
        """
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def emit(self, record: logging.LogRecord) -> None:
        """
        Writes an event out.
        """
        event = {**getattr(record, "facts", {}), "event": record.getMessage()}
        event["level"] = record.levelname.lower()
        event["at"] = datetime.fromtimestamp(record.created, UTC)
        if record.exc_info:
            event["exception"] = "".join(traceback.format_exception(*record.exc_info))
        line = orjson.dumps(event, default=str, option=LINE)
        line = self._blotted(line)
        if self._file >= 0:
            try:
                os.write(self._file, line)
            except OSError:
                # A full disk must not end the batch here: the ledger's own writes tell of it.
                self.close_file()
        if self._as_json:
            sys.stderr.write(line.decode())
        elif record.levelno >= logging.WARNING:
            sys.stderr.write(self._blotted(_as_text(event).encode()).decode() + "\n")

    def _blotted(self, line: bytes) -> bytes:
        for secret in self._secrets:
            line = line.replace(secret, BLOT)
        return line


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


def _as_text(event: Mapping[str, Any]) -> str:
    hidden = {"event", "level", "at", "exception"}
    facts = " ".join(f"{name}={value}" for name, value in event.items() if name not in hidden)
    return f"{event['level']}: {event['event'].replace('_', ' ')} {facts}".rstrip()
