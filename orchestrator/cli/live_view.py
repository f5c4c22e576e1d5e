"""
The live view on a terminal: drawn in place, below everything else that is printed.

The cursor rests at the first cell of the view. So the view stays where it is when the terminal
becomes narrower and wraps its lines anew, what is printed meanwhile overwrites it, and it is
erased by one control sequence. No line is wrapped, because wrapping is off while it is drawn.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TextIO, cast

import anyio
from rich.console import Console
from rich.text import Text

from orchestrator.app.batch_folders import display
from orchestrator.app.clock import utc_now
from orchestrator.app.setup.signals import resizing
from orchestrator.cli.streams import terminal_size
from orchestrator.model.progress import Progress
from orchestrator.report.lines import wrapped
from orchestrator.report.progress_view import (
    COLOURED,
    UNCOLOURED,
    Screen,
    Symbols,
    ascii_symbols,
    progress_lines,
)

LOOK_EVERY_SECS = 0.25
MOST_COLUMNS = 1000
PIPE_COLUMNS = 120
PRINTED_LINES = 30
BEGIN, END = "\x1b[?2026h\x1b[?7l", "\x1b[?7h\x1b[?2026l"
"""Around a frame: the terminal shows it as a whole, if it can, and wraps no line."""

ERASE = "\r\x1b[J"
ERASE_REST_OF_LINE, ERASE_BELOW = "\x1b[K", "\x1b[J"


async def draw(folder: Path, progress: Callable[[int], Progress]) -> None:
    """
    Draws the progress of a batch on the terminal behind stderr until cancelled, then erases it.

    A frame is drawn when figures have changed, once a second for the times, and when the size of
    the terminal has changed. It is left out while the terminal takes no output.
    """
    view = LiveView(sys.stderr, name=folder.parent.name, folder=folder)
    above = AboveView(view)
    resized = anyio.Event()
    with redirect_stderr(cast("TextIO", above)), resizing(lambda: resized.set()):
        try:
            while True:
                view.draw(progress)
                resized = anyio.Event()
                with anyio.move_on_after(LOOK_EVERY_SECS):
                    await resized.wait()
        finally:
            above.close()


def print_once(progress: Progress, now: datetime, folder: Path) -> None:
    """Prints the view of a batch to stdout once, as wide as the terminal; whole into a pipe."""
    console = Console(highlight=False)
    is_terminal = console.is_terminal
    symbols = symbols_for(sys.stdout.encoding, has_colours=is_terminal and not console.no_color)
    screen = Screen(
        width=min(console.width, MOST_COLUMNS) if is_terminal else PIPE_COLUMNS,
        height=PRINTED_LINES,
        symbols=symbols,
    )
    lines = progress_lines(
        progress,
        now,
        screen,
        name=folder.parent.name,
        batch_id=folder.name,
        folder=display(folder),
    )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


class LiveView:
    """
    The view on a terminal.

    Args:
        stream: the terminal.
        name: of the batch.
        folder: of the batch, which is named by the id of the batch.
    """

    def __init__(self, stream: TextIO, *, name: str, folder: Path) -> None:
        self._stream = stream
        self._name = name
        self._folder = folder
        self._console = Console(file=StringIO(), force_terminal=True)
        self._symbols = symbols_for(stream.encoding, has_colours=not self._console.no_color)
        self._is_drawn = False
        self._drawn: object = None

    def draw(self, progress: Callable[[int], Progress]) -> None:
        """Draws the view, if anything in it has changed."""
        size = self._size()
        now, at = progress(size.lines), utc_now()
        state = (now.facts, now.ends_at, int(at.timestamp()), size)
        if (state == self._drawn and self._is_drawn) or not self._takes_output():
            return
        # The last line stays free: a terminal that becomes lower keeps the cursor in sight.
        screen = Screen(
            width=min(size.columns, MOST_COLUMNS),
            height=max(1, size.lines - 1),
            symbols=self._symbols,
        )
        lines = progress_lines(
            now,
            at,
            screen,
            name=self._name,
            batch_id=self._folder.name,
            folder=display(self._folder),
        )
        self._write(_frame([self._with_colours(line) for line in lines]))
        self._is_drawn, self._drawn = True, state

    def erase(self) -> None:
        """Erases the view; the cursor is where it began."""
        if self._is_drawn:
            self._is_drawn = False
            self._write(ERASE)

    def print_above(self, text: str) -> None:
        """Prints lines in place of the view, which is drawn below them the next time."""
        self.erase()
        self._write(wrapped(text, self._size().columns))

    def _with_colours(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True, highlight=False, markup=False)
        return captured.get()

    def _size(self) -> os.terminal_size:
        return terminal_size(self._stream)

    def _takes_output(self) -> bool:
        """Whether the terminal takes output of this process now."""
        handle = self._stream.fileno()
        # A process in the background (`&`, Ctrl-Z and `bg`) would draw over what the user types.
        with suppress(OSError):
            if os.tcgetpgrp(handle) != os.getpgrp():
                return False
        # After Ctrl-S, a write would block.
        return bool(select.select([], [handle], [], 0)[1])

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class AboveView:
    """
    Stands for stderr while the view is on the terminal: what is printed appears above the view.

    A part of a line is kept until its end has come.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._part = ""

    def write(self, text: str) -> int:
        """Prints the lines of the text above the view."""
        whole, end, part = (self._part + text).rpartition("\n")
        self._part = part
        if end:
            self._view.print_above(whole + end)
        return len(text)

    def flush(self) -> None:
        """Does nothing: whole lines are printed at once."""

    def close(self) -> None:
        """Erases the view, and prints the part of a line that was kept."""
        self._view.print_above(self._part)
        self._part = ""

    def isatty(self) -> bool:
        """Always: it stands for a terminal."""
        return True


def symbols_for(encoding: str | None, *, has_colours: bool) -> Symbols:
    """The symbols that a terminal with this encoding shows."""
    # With LC_ALL=C, Python writes UTF-8, and nothing says that the terminal shows it.
    is_plain = os.environ.get("LC_ALL") in {"C", "POSIX"}
    if is_plain or not (encoding or "").lower().replace("-", "").startswith("utf8"):
        return ascii_symbols("ascii" if is_plain else encoding or "ascii")
    return COLOURED if has_colours else UNCOLOURED


def _frame(lines: list[str]) -> str:
    """The control sequences and lines that draw a view from the cursor on, and bring it back."""
    # Erased before it is written: behind a line as wide as the terminal, the cursor is still on its
    # last cell, which would be erased.
    *above, last = lines
    body = "".join(f"{ERASE_REST_OF_LINE}{line}\r\n" for line in above) + ERASE_BELOW + last
    up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
    return f"{BEGIN}\r{body}{up}\r{END}"
