"""Stops the processes that share a batch, wherever they run, before the batch is aborted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.app.setup.signals import LEAVE_SECS
from orchestrator.errors import BatchAborted
from orchestrator.ledger.amendments import halt_shards
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.location import location_of
from orchestrator.ledger.lock import held_for

LOOK_EVERY_SECS = 0.5
LEFT_SECS = LEAVE_SECS
"""So long after its lease, a process that still holds the batch is paused, and does not end."""


def stop_shards(folder: Path, note: Callable[[str], None]) -> bool:
    """
    Lets the processes that share a batch abort their runs, and waits until they have ended.

    Does nothing where none shares it; a process that works alone keeps the batch.

    Returns:
        whether they have closed the batch. A process that is paused may still hold it, closed or
        not.
    """
    if location_of(folder / LEDGER) is None:
        return False
    reason = BatchAborted("`orchestrator abort` was called")
    if not halt_shards(folder / LEDGER, reason):
        return False
    note(f"{display(folder)}: waiting until the processes that share this batch have ended")
    worked_at = time.monotonic()
    while held_for(folder) is not None and time.monotonic() < worked_at + LEFT_SECS:
        if read_batch(folder / LEDGER).completed_at is not None:
            return True
        time.sleep(LOOK_EVERY_SECS)
        if halt_shards(folder / LEDGER, reason):
            worked_at = time.monotonic()
    return False
