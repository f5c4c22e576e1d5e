"""The end of a run's log: its last lines, and the last line of a Python traceback."""

from __future__ import annotations

import re

from orchestrator.report.log_text import LogText
from orchestrator.safe_text import plain

END_BYTES = 32_768
"""How much of the end of a log is looked at."""

KEPT_LINES = 40
SHOWN_LINES = 3
LONGEST_LINE = 300
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ?")
"""The platform puts the time before each line of a log."""

TRACEBACK = "Traceback (most recent call last):"
MARGIN = re.compile(r"[\s|+-]*")
"""What stands before a line of a traceback: groups of exceptions draw a frame."""


def kept_end(end: bytes) -> str:
    """
    The last lines of a log as the ledger keeps them: no secrets, no control characters.

    Args:
        end: the last `END_BYTES` of the log, or all of it.
    """
    text = LogText()
    lines = (text.feed(end) + text.finish()).splitlines()
    if len(end) >= END_BYTES:
        # The first line may begin in the middle, perhaps of a secret.
        del lines[0]
    # Redacted before anything is cut off, because a part of a secret is not recognised.
    lines = plain("\n".join(lines)).splitlines()
    return "\n".join(_short(line) for line in lines[-KEPT_LINES:]).strip("\n")


def last_lines(text: str) -> tuple[str, ...]:
    """The last lines that are not empty, without the times before them."""
    lines = [line.strip() for line in _lines(text)]
    return tuple(_short(line) for line in [line for line in lines if line][-SHOWN_LINES:])


def traceback_end(text: str) -> str | None:
    """The line of the last Python traceback that names the exception; None if there is none."""
    found = None
    depth: int | None = None
    for line in _lines(text):
        at = line.find(TRACEBACK)
        margin = MARGIN.match(line)
        assert margin is not None  # noqa: S101 - it matches everywhere
        if at >= 0:
            depth = margin.end()
        # The frames are further to the right than the first and the last line.
        elif depth is not None and margin.end() <= depth and line.strip(" \t|+-"):
            found = _short(line[margin.end() :].strip())
            depth = None
    return found


def _lines(text: str) -> list[str]:
    return [TIME.sub("", line) for line in text.splitlines()]


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
