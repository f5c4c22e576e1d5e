"""A command on its own terminal, and the screen that its reader sees."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import MappingProxyType

import pyte

from tests.support.command import Command, Process

CTRL_C = b"\x03"
HISTORY = 500
SHOWN_SECS = 60
"""How long something may take until it is shown."""


class RealScreen(pyte.HistoryScreen):
    """
    A screen that erases as real terminals do.

    Behind a line as wide as the terminal, their cursor is on its last cell, which an erase removes.
    """

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """Erases a part of the line, from or to the cursor."""
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        super().erase_in_line(how, private)

    def erase_in_display(self, how: int = 0, *args: object, **kwargs: object) -> None:
        """Erases a part of the screen, from or to the cursor."""
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        super().erase_in_display(how, *args, **kwargs)


class Terminal:
    """
    A terminal with a command on it.

    Args:
        process: the command.
        handle: our side of the terminal.

    Attributes:
        screen: what the reader sees; its history has the lines that moved out of sight.
    """

    def __init__(self, process: Process, handle: int, columns: int, lines: int) -> None:
        self.process = process
        self.screen = RealScreen(columns, lines, history=HISTORY)
        self.written = b""
        self._handle = handle
        self._stream = pyte.ByteStream(self.screen)

    def lines(self) -> list[str]:
        """The lines on the screen, without blank ones at the end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colours(self, text: str) -> set[str]:
        """The colours in which a text is on the screen."""
        for y, line in enumerate(self.screen.display):
            if text in line:
                x = line.index(text)
                row = self.screen.buffer[y]
                return {row[place].fg for place in range(x, x + len(text))}
        raise AssertionError(f"{text!r} is not on the screen")

    def wait_for(self, holds: Callable[[list[str]], bool], what: str) -> list[str]:
        """Reads until the lines on the screen meet a test's condition; returns them."""
        until = time.monotonic() + SHOWN_SECS
        while not holds(self.lines()):
            assert time.monotonic() < until, f"never shown: {what}\n" + "\n".join(self.lines())
            assert self.read(), f"ended without {what}\n" + "\n".join(self.lines())
        return self.lines()

    def read(self, secs: float = 0.1) -> bool:
        """Reads for a time what the command writes; returns whether it may write more."""
        has_ended = self.process.has_ended
        if not select.select([self._handle], [], [], 0 if has_ended else secs)[0]:
            return not has_ended
        try:
            piece = os.read(self._handle, 65536)
        except OSError:
            # Linux signals the end of a terminal by an error.
            return False
        self.written += piece
        self._stream.feed(piece)
        return bool(piece)

    def end(self) -> int:
        """Reads to the end; returns the exit code."""
        while self.read():
            pass
        self.process.communicate()
        return self.process.code

    def press(self, keys: bytes) -> None:
        """Types some keys."""
        os.write(self._handle, keys)

    def resize(self, columns: int, lines: int) -> None:
        """Changes the size of the terminal, as a user does with a window."""
        self.screen.resize(lines, columns)
        set_size(self._handle, columns, lines)


@contextmanager
def terminal(
    command: Command,
    *words: str,
    columns: int = 80,
    lines: int = 24,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Terminal]:
    """Starts a command on a terminal, and ends it at the end of the block."""
    ours, theirs = os.openpty()
    set_size(ours, columns, lines)
    # Until it is started, only our own handle keeps its side of the terminal open.
    process = replace(
        command, variables={**command.variables, "TERM": "xterm-256color", **variables}
    ).start(*words, terminal=os.ttyname(theirs))
    try:
        yield Terminal(process, ours, columns, lines)
    finally:
        if not process.has_ended:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(theirs)
        os.close(ours)


def set_size(handle: int, columns: int, lines: int) -> None:
    """Sets the size of a terminal."""
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
