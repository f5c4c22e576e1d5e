"""
Progress on stderr: live on a terminal, plain lines elsewhere, nothing where logs are JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
from rich.console import Console
from rich.live import Live

from orchestrator.app.context import Display
from orchestrator.report.progress import Progress
from orchestrator.report.terminal import progress_line, progress_view

LIVE_EVERY_SECS = 0.25
LINE_EVERY_SECS = 30.0
FIRST_LINE_SECS = 5.0

WaitsFor = Callable[[], dict[str, int]]


def display_for(
    log_format: str,
    *,
    first_line_secs: float = FIRST_LINE_SECS,
    line_every_secs: float = LINE_EVERY_SECS,
) -> Display:
    """
    The display that suits stderr.

    Args:
        first_line_secs, line_every_secs: when lines come where stderr is no terminal.
    """
    if log_format == "json":
        return NoDisplay()
    if sys.stderr.isatty():
        return LiveDisplay()
    return LineDisplay(first_line_secs, line_every_secs)


class LiveDisplay:
    """
    A bar and figures that are drawn anew in place.
    """

    async def show(self, progress: Progress, waits_for: WaitsFor) -> None:
        """
        Draws until cancelled.
        """
        console = Console(stderr=True)
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                progress.waits = waits_for()
                live.update(progress_view(progress, anyio.current_time()), refresh=True)
                await anyio.sleep(LIVE_EVERY_SECS)


class LineDisplay:
    """
    A line now and then, when something has changed.
    """

    def __init__(self, first_secs: float, every_secs: float) -> None:
        self._first_secs = first_secs
        self._every_secs = every_secs

    async def show(self, progress: Progress, waits_for: WaitsFor) -> None:  # noqa: ARG002
        """
        Writes lines until cancelled.
        """
        await anyio.sleep(self._first_secs)
        last = None
        while True:
            figures = (progress.done, progress.running, progress.failed)
            if figures != last:
                last = figures
                sys.stderr.write(progress_line(progress, anyio.current_time()) + "\n")
            await anyio.sleep(self._every_secs)


class NoDisplay:
    """
    Says nothing: the log does.
    """

    async def show(self, progress: Progress, waits_for: WaitsFor) -> None:  # noqa: ARG002
        """
        Waits until cancelled.
        """
        await anyio.sleep_forever()
