"""What the earlier batches of a series did, for the page of a batch."""

from __future__ import annotations

from array import array
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from math import isnan, nan
from pathlib import Path
from typing import Any

from orchestrator.app.batch_folders import LEDGER, Found, display, survey
from orchestrator.app.history.saved_summary import saved_summary
from orchestrator.app.history.series import earlier_of
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.states import JobStatus
from orchestrator.report.page.comparison import BatchFigures, Usual, UsualByKey, figures_of
from orchestrator.scheduler.decide.id_map import IdMap

BATCHES = 10
"""How many earlier batches a page shows."""

SHOWN_PROBLEMS = 5
UNKNOWN = -1


class PackedUsual:
    """What the jobs of a batch took and made, by keys in lower case: 50 bytes for each job."""

    def __init__(self, reader: LedgerReader) -> None:
        self._places = IdMap()
        self._items, self._secs, self._usd = array("q"), array("d"), array("d")
        for one in reader.takings():
            if one.secs is None:
                continue
            self._places.add(one.key.lower(), len(self._secs))
            self._items.append(UNKNOWN)
            self._secs.append(one.secs)
            self._usd.append(nan if one.cost_usd is None else one.cost_usd)
        for key, items in reader.items_made():
            place = self._places.get(key.lower())
            if place is not None:
                self._items[place] = items

    def __len__(self) -> int:
        return len(self._secs)

    def get(self, key: str, /) -> Usual | None:
        """What a job took and made; None if it is not there. The keys are not kept."""
        place = self._places.get(key)
        if place is None:
            return None
        items, usd = self._items[place], self._usd[place]
        return Usual(
            items=None if items == UNKNOWN else items,
            secs=self._secs[place],
            cost_usd=None if isnan(usd) else usd,
        )


class Trend:
    """
    Earlier batches of the series of a batch.

    Attributes:
        past: their figures, the oldest first.
        usual: what each job took and made in the last one that ended, by its key in lower case.
        problems: a sentence for each batch that cannot be read.
    """

    def __init__(self, folder: Path, batch: Batch) -> None:
        self.past: list[BatchFigures] = []
        self.usual: UsualByKey = {}
        self.problems: list[str] = []
        known = survey(folder.parent)
        for one in known.unreadable[:SHOWN_PROBLEMS]:
            self.problems.append(f"{display(one.folder)} is not compared: {one.reason}")
        for found in islice(earlier_of(known, batch), BATCHES):
            try:
                self._read(found)
            except (OrchestratorError, OSError, ValueError, LookupError) as error:
                # One ledger that cannot be read must not hide the others.
                LOG.warning("history_not_read", batch=str(found.folder), error=str(error))
                self.problems.append(f"{display(found.folder)} is not compared: {error}")
        self.past.reverse()

    def _read(self, found: Found) -> None:
        figures = batch_figures(found.folder, found.batch)
        if not self.usual and figures.batch.state is BatchState.ENDED:
            with LedgerReader(found.folder / LEDGER) as reader:
                self.usual = PackedUsual(reader)
        self.past.append(figures)


def batch_figures(folder: Path, batch: Batch) -> BatchFigures:
    """
    The figures of a batch: from its summary if that is of the same end, else from its ledger.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the ledger cannot be read.
    """
    summary = saved_summary(folder, batch)
    if summary is not None:
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            return _figures_in(summary, batch)
    with LedgerReader(folder / LEDGER) as reader:
        return figures_of(reader.batch(), reader.totals())


def _figures_in(summary: Any, batch: Batch) -> BatchFigures:
    return BatchFigures(
        batch=batch,
        jobs={JobStatus(status): int(jobs) for status, jobs in summary["jobs"].items() if jobs},
        items=int(summary["items"]),
        cost_usd=Decimal(str(summary["cost_usd"])),
        active_secs=summary.get("active_secs"),
    )
