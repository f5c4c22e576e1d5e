"""Watches a batch that another process runs, through its ledger alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from orchestrator.app.batch_folders import LEDGER
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch

READ_EVERY_SECS = 1.0


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """
    The state of a batch at one instant.

    Attributes:
        is_held: whether a process holds its lock.
    """

    batch: Batch
    totals: Totals
    is_held: bool


async def watch(folder: Path, show: Callable[[LiveStatus], None]) -> LiveStatus:
    """
    Reads a batch every second until no process holds it; returns the last status.

    It writes nothing, and it holds no lock between two reads.

    Args:
        show: is called with each status, also with the last one.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch: the batch cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        while True:
            # Checked before reading: the last status has the last writes of the process.
            held = is_held(folder)
            status = LiveStatus(reader.batch(), reader.totals(), held)
            show(status)
            if not held:
                return status
            await anyio.sleep(READ_EVERY_SECS)
