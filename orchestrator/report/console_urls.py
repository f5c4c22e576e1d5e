"""The addresses of runs in the platform's console, for people."""

from __future__ import annotations

from orchestrator.model.batches import Batch
from orchestrator.model.ids import RunId

PLATFORM_WITH_CONSOLE = "https://api.apify.com"
CONSOLE = "https://console.apify.com"


def run_url(batch: Batch, run_id: RunId | None) -> str | None:
    """The address of a run; None if there is no run, or its platform has no console."""
    # Source: the console redirects this address to the run of any Actor or task.
    if run_id is None or batch.platform != PLATFORM_WITH_CONSOLE:
        return None
    return f"{CONSOLE}/view/runs/{run_id}"
