"""Costs that the platform had not settled when a batch ended, for commands that only look."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orchestrator.app.setup.settings import Settings


def refresh(folder: Path, settings: Settings) -> None:
    """
    Brings the costs of a batch up to date where they are provisional and no process is at it.

    Says on stderr when they cannot be. A local platform is not started for that, and what cannot
    be written is left as it is.
    """
    from orchestrator.app.batch_folders import LEDGER
    from orchestrator.errors import OrchestratorError
    from orchestrator.ledger import LedgerReader
    from orchestrator.ledger.lock import is_held

    if is_held(folder) or not os.access(folder, os.W_OK, effective_ids=True):
        return
    with LedgerReader(folder / LEDGER) as reader:
        if reader.batch().plan.local is not None or not reader.cost_is_provisional():
            return
    try:
        from orchestrator.app.account.costs import refresh_from
        from orchestrator.cli.event_loop import in_event_loop
        from orchestrator.cli.platform_connection import connector

        in_event_loop(refresh_from, folder, settings, connector(settings))
    except OrchestratorError as error:
        sys.stderr.write(f"the cost is as it was told last: {error}\n")
