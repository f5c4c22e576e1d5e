"""Expected durations and usual items of jobs, from earlier batches of the same series."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from statistics import median

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import earlier_batches
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader

BATCHES_FOR_ITEMS = 10
"""How many earlier batches are read for the usual number of items."""

BATCHES_FOR_DURATIONS = 3
"""How many earlier batches are read for the duration of jobs."""


def expected_durations(folder: Path, reader: LedgerReader) -> dict[int, float]:
    """
    The expected durations of the runs of waiting jobs, in seconds, by their places in the spec.

    A job takes as long as in the last earlier batch in which the job of the same key succeeded.
    Jobs without such a batch are left out.
    """
    expected: dict[int, float] = {}
    found = list(islice(earlier_batches(folder, reader.batch()), BATCHES_FOR_DURATIONS))
    wanted = reader.waiting_keys() if found else {}
    for earlier in found:
        if not wanted:
            break
        try:
            with LedgerReader(earlier.folder / LEDGER) as before:
                for key, _, secs, _ in before.takings():
                    seq = wanted.pop(key.lower(), None)
                    if seq is not None:
                        expected[seq] = secs
        except UsageError as error:
            # A torn or foreign ledger of another batch does not stop this one.
            LOG.warning("history_not_read", batch=str(earlier.folder), error=str(error))
    return expected


def usual_items(folder: Path, reader: LedgerReader) -> dict[int, float]:
    """
    The usual number of items of the jobs with a limit on its drop, by their places in the spec.

    It is the median of the last earlier batches in which they succeeded.
    """
    wanted = reader.dropping_keys()
    found: dict[int, list[int]] = {}
    if not wanted:
        return {}
    for earlier in islice(earlier_batches(folder, reader.batch()), BATCHES_FOR_ITEMS):
        try:
            with LedgerReader(earlier.folder / LEDGER) as before:
                for key, items in before.items_made():
                    if key.lower() in wanted:
                        found.setdefault(wanted[key.lower()], []).append(items)
        except UsageError as error:
            LOG.warning("history_not_read", batch=str(earlier.folder), error=str(error))
    return {seq: median(items) for seq, items in found.items()}
