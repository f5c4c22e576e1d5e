"""Expected durations and usual items of jobs, from earlier batches of the same series."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, MutableMapping
from itertools import islice, repeat
from math import isnan, nan
from pathlib import Path
from statistics import median

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import earlier_batches
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.scheduler.decide.id_map import IdMap

BATCHES_FOR_ITEMS = 10
"""How many earlier batches are read for the usual number of items."""

BATCHES_FOR_DURATIONS = 3
"""How many earlier batches are read for the duration of jobs."""


class PlacedSecs(MutableMapping[int, float]):
    """Seconds by the places of jobs in the spec: 8 bytes for each place instead of 140."""

    def __init__(self) -> None:
        self._secs = array("d")
        self._len = 0

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[int]:
        return (seq for seq, secs in enumerate(self._secs) if not isnan(secs))

    def __getitem__(self, seq: int) -> float:
        secs = self._secs[seq] if seq < len(self._secs) else nan
        if isnan(secs):
            raise KeyError(seq)
        return secs

    def __setitem__(self, seq: int, secs: float) -> None:
        self._secs.extend(repeat(nan, seq + 1 - len(self._secs)))
        self._len += isnan(self._secs[seq])
        self._secs[seq] = secs

    def __delitem__(self, seq: int) -> None:
        self._secs[seq] = nan
        self._len -= 1


def expected_durations(folder: Path, reader: LedgerReader) -> MutableMapping[int, float]:
    """
    The expected durations of the runs of waiting jobs, in seconds, by their places in the spec.

    A job takes as long as in the last earlier batch in which the job of the same key succeeded.
    Jobs without such a batch are left out.
    """
    expected, wanted = PlacedSecs(), IdMap()
    found = list(islice(earlier_batches(folder, reader.batch()), BATCHES_FOR_DURATIONS))
    for key, seq in reader.waiting_keys() if found else ():
        wanted.add(key, seq)
    for earlier in found:
        if len(expected) == len(wanted):
            break
        try:
            with LedgerReader(earlier.folder / LEDGER) as before:
                for one in before.takings():
                    place = wanted.get(one.key.lower())
                    if place is not None and place not in expected and one.secs is not None:
                        expected[place] = one.secs
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
