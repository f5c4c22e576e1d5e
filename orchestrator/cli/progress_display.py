"""Progress on stderr: live on a terminal, else plain lines; none if logs are JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from orchestrator.app.batch_folders import display
from orchestrator.app.clock import utc_now
from orchestrator.cli.streams import write_lines
from orchestrator.model.progress import Progress
from orchestrator.report.lines import progress_line

if TYPE_CHECKING:
    from orchestrator.app.setup.context import Display

LINE_EVERY_SECS = 30.0
FIRST_LINE_SECS = 5.0


def display_for(
    log_format: str,
    *,
    first_line_secs: float = FIRST_LINE_SECS,
    line_every_secs: float = LINE_EVERY_SECS,
) -> Display:
    """
    The display that suits stderr.

    Args:
        first_line_secs, line_every_secs: when to print lines if stderr is not a terminal.
    """
    if log_format == "json":
        return NoDisplay()
    if can_draw():
        return ViewDisplay()
    return LineDisplay(first_line_secs, line_every_secs)


def can_draw() -> bool:
    """Whether stderr is a terminal on which a view can be drawn in place."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


class ViewDisplay:
    """Draws the live view on a terminal."""

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:
        """Draws until cancelled."""
        # Imported when the first requests have been sent, because rich takes long to import.
        from orchestrator.cli.live_view import draw

        await draw(folder, progress)


class LineDisplay:
    """Prints the folder of the batch, then a line at intervals if figures have changed."""

    def __init__(self, first_secs: float, every_secs: float) -> None:
        self._first_secs = first_secs
        self._every_secs = every_secs

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:
        """Prints lines until cancelled."""
        # A short batch is over by then, and its summary is enough.
        await anyio.sleep(self._first_secs)
        now = progress(0)
        jobs = "1 job" if now.total == 1 else f"{now.total:,} jobs"
        write_lines(f"batch {folder.name} of {jobs}, {display(folder)}", sys.stderr)
        last = None
        while True:
            # Logs of a long quiet batch would otherwise fill with the same line.
            if now.facts != last:
                last = now.facts
                write_lines(progress_line(now, utc_now()), sys.stderr)
            await anyio.sleep(self._every_secs)
            now = progress(0)


class NoDisplay:
    """Prints nothing, because the log holds the progress."""

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:  # noqa: ARG002
        """Waits until cancelled."""
        await anyio.sleep_forever()
