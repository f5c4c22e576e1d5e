"""Progress on a terminal, redrawn in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
from rich.console import Console
from rich.live import Live

from orchestrator.app.clock import utc_now
from orchestrator.model.progress import Progress
from orchestrator.report.terminal import progress_view

LIVE_EVERY_SECS = 0.25


class LiveDisplay:
    """A bar and figures, redrawn in place."""

    async def show(self, folder: Path, progress: Callable[[int], Progress]) -> None:  # noqa: ARG002
        """Redraws until cancelled."""
        console = Console(stderr=True)
        # rich would refresh from a thread of its own, while the figures change.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(progress_view(progress(0), utc_now()), refresh=True)
                await anyio.sleep(LIVE_EVERY_SECS)
