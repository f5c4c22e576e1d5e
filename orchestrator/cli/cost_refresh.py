"""Updates costs that were provisional when a batch ended, for commands that only read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held


def refresh(folder: Path, settings: Settings) -> None:
    """
    Updates the costs of a batch that are provisional, unless a process holds the batch.

    Prints to stderr if the platform gives no answer. Starts no local platform.
    """
    # The process of a live batch asks itself; a backup without write access is only read.
    if is_held(folder) or not os.access(folder, os.W_OK, effective_ids=True):
        return
    with LedgerReader(folder / LEDGER) as reader:
        if reader.batch().plan.local is not None or not reader.cost_is_provisional():
            return
    # Most batches need no update, and these import the HTTP library.
    from orchestrator.app.account.costs import refresh_from
    from orchestrator.app.setup.platform_connection import connector
    from orchestrator.cli.event_loop import in_event_loop

    try:
        in_event_loop(refresh_from, folder, settings, connector(settings))
    except OrchestratorError as error:
        sys.stderr.write(f"the cost may be out of date: {error}\n")
