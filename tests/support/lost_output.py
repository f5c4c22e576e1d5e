"""The command with an output that takes nothing, as a shell starts it: `main NAME WORDS…`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.cli.main import main

FULL = "/dev/full"


def main_with_lost_output(words: Sequence[str]) -> None:
    """Runs the command; the first word says which output is lost, and how."""
    where, *rest = words
    match where:
        case "full stdout":
            os.dup2(os.open(FULL, os.O_WRONLY), 1)
        case "full stderr":
            os.dup2(os.open(FULL, os.O_WRONLY), 2)
        case "no reader":
            reading, writing = os.pipe()
            os.close(reading)
            os.dup2(writing, 1)
        case "unread stderr":
            os.dup2(_full_pipe(), 2)
        case _:
            raise AssertionError(where)
    main(rest)


def _full_pipe() -> int:
    """The end of a full pipe whose reader, this process, never reads."""
    _, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    return writing
