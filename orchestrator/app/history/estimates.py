"""What earlier batches of the same series tell about the jobs of this one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from orchestrator.app.batch_folders import LEDGER, survey
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch

NIGHTS = 10
"""So many earlier batches say how many items are usual."""

LOOKED_BACK = 3
"""So many earlier batches are asked how long jobs take."""


def expected_durations(folder: Path, reader: LedgerReader) -> dict[int, float]:
    """
    How long the runs of waiting jobs will take, in seconds, by their places in the spec.

    As the last earlier batch tells it in which the job of the same key succeeded; jobs that no
    batch knows are left out.
    """
    expected: dict[int, float] = {}
    nights = list(islice(earlier(folder, reader.batch()), LOOKED_BACK))
    wanted = reader.waiting_keys() if nights else {}
    for night in nights:
        if not wanted:
            break
        try:
            with LedgerReader(night / LEDGER) as before:
                for key, _, secs, _ in before.takings():
                    seq = wanted.pop(key.lower(), None)
                    if seq is not None:
                        expected[seq] = secs
        except UsageError as error:
            # A torn or foreign ledger of another batch is no reason not to run this one.
            LOG.warning("history_not_read", batch=str(night), error=str(error))
    return expected


def usual_items(folder: Path, reader: LedgerReader) -> dict[int, float]:
    """
    How many items jobs make that must not make many fewer, by their places in the spec.

    The median of the last earlier batches in which they succeeded.
    """
    wanted = reader.dropping_keys()
    found: dict[int, list[int]] = {}
    for night in islice(earlier(folder, reader.batch()), NIGHTS) if wanted else ():
        try:
            with LedgerReader(night / LEDGER) as before:
                for key, items in before.items_made():
                    if key.lower() in wanted:
                        found.setdefault(wanted[key.lower()], []).append(items)
        except UsageError as error:
            LOG.warning("history_not_read", batch=str(night), error=str(error))
    return {seq: median(items) for seq, items in found.items()}


def earlier(folder: Path, batch: Batch) -> Iterator[Path]:
    """The folders of the batches of the same series before this one, newest first."""
    found = survey(folder.parent).found
    for other in found:
        is_before = (other.number, other.batch.id) < (batch.number, batch.id)
        if is_before and batch.series.agrees(other.batch.series):
            yield other.folder
