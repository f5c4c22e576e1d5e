"""
Structured logs: every event to the batch's `log.jsonl`, and what wants eyes to stderr.

Events are snake_case in the past tense. Secrets that are known here are blotted out of every line,
whatever field they come in.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import orjson
import structlog
from pydantic import SecretStr

BLOT = b"[secret]"
SHORTEST_SECRET = 6
"""
Shorter strings are no secrets worth the damage that blotting them out everywhere would do.
"""


class LogSink:
    """
    The last step of every event: writes it out.

    Args:
        level: the lowest that goes to the file.
        as_json: whether stderr gets every event as JSON, or warnings as text.
    """

    def __init__(self, *, level: int, as_json: bool) -> None:
        self._as_json = as_json
        self._level = level
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

    def __call__(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        """
        Writes an event out, as structlog's last processor.
        """
        level = logging.getLevelNamesMapping()[method.upper()]
        line = orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE)
        line = self._blotted(line)
        if self._file >= 0 and level >= self._level:
            try:
                os.write(self._file, line)
            except OSError:
                # A full disk must not end the batch here: the ledger's own writes tell of it.
                self.close_file()
        if self._as_json:
            sys.stderr.write(line.decode())
        elif level >= logging.WARNING:
            sys.stderr.write(self._blotted(_as_text(event).encode()).decode() + "\n")
        raise structlog.DropEvent

    def _blotted(self, line: bytes) -> bytes:
        for secret in self._secrets:
            line = line.replace(secret, BLOT)
        return line


def configure_logs(*, level: str, as_json: bool) -> LogSink:
    """
    Sets structlog up for this process and returns its sink.

    Args:
        level: the lowest that is logged: debug, info, warning or error.
        as_json: whether stderr gets every event as JSON.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    sink = LogSink(level=number, as_json=as_json)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            sink,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return sink


def _as_text(event: MutableMapping[str, Any]) -> str:
    hidden = {"event", "level", "at", "exception"}
    facts = " ".join(f"{name}={value}" for name, value in event.items() if name not in hidden)
    return f"{event['level']}: {event['event'].replace('_', ' ')} {facts}".rstrip()
