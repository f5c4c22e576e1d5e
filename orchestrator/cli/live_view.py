"""Progress on a terminal, redrawn in place."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from rich.console import Console
from rich.live import Live

from orchestrator.report.progress import Progress
from orchestrator.report.terminal import progress_view

LIVE_EVERY_SECS = 0.25


class LiveDisplay:
    """A bar and figures, redrawn in place."""

    async def show(self, progress: Progress, waits_for: Callable[[], dict[str, int]]) -> None:
        """Redraws until cancelled."""
        console = Console(stderr=True)
        # rich would refresh from a thread of its own, while the figures change.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                progress.waits = waits_for()
                live.update(progress_view(progress, anyio.current_time()), refresh=True)
                await anyio.sleep(LIVE_EVERY_SECS)
