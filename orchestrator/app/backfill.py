"""
Which days of a backfill are done, begun or missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum, auto
from pathlib import Path
from typing import Literal

from orchestrator.app.folders import LEDGER, batches
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import BatchState
from orchestrator.model.selection import Choice


class Day(Enum):
    """
    DONE: a batch of that day succeeded. MISSING: there is none that did or may still.
    """

    DONE = auto()
    MISSING = auto()


def day_of(
    home: Path, day: date, *, params: Mapping[str, str], choice: Choice
) -> Path | Literal[Day.DONE, Day.MISSING]:
    """
    How a day stands among the batches of a name: the folder of one that is to be gone on with.

    Args:
        params, choice: batches with others do not count.
    """
    begun: Path | None = None
    for folder in batches(home):
        with LedgerReader(folder / LEDGER) as reader:
            batch = reader.batch()
        plan = batch.plan
        if (plan.day, plan.params, plan.choice) != (day.isoformat(), dict(params), choice):
            continue
        if batch.state is BatchState.ENDED and batch.exit_code == 0:
            return Day.DONE
        if batch.state is not BatchState.ENDED and begun is None:
            begun = folder
    return begun or Day.MISSING
