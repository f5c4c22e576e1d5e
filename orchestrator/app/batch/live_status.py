"""Follows a batch that another process drives, by its ledger alone."""

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

LOOK_EVERY_SECS = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """
    How a batch stands.

    Attributes:
        is_held: whether a process is at it.
    """

    batch: Batch
    totals: Totals
    is_held: bool


async def follow(folder: Path, tell: Callable[[Look], None]) -> Look:
    """
    Looks at a batch again and again until no process is at it; tells and returns the last look too.

    Nothing is written, and between two looks nothing is held that the other process waits for.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch: the batch cannot be read.
    """
    with LedgerReader(folder / LEDGER) as reader:
        while True:
            # Asked before reading: what the process did last is in the last look.
            held = is_held(folder)
            look = Look(reader.batch(), reader.totals(), held)
            tell(look)
            if not held:
                return look
            await anyio.sleep(LOOK_EVERY_SECS)
