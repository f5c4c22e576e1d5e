"""What the earlier batches of a series did, for the page of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import islice
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
from orchestrator.report.page.comparison import BatchFigures, Usual, figures_of

BATCHES = 10
"""How many earlier batches a page shows."""

SHOWN_PROBLEMS = 5


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
        self.usual: dict[str, Usual] = {}
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
                self.usual = dict(_usual(reader))
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


def _usual(reader: LedgerReader) -> Iterator[tuple[str, Usual]]:
    items = {key.lower(): made for key, made in reader.items_made()}
    for key, _, secs, cost in reader.takings():
        yield (
            key.lower(),
            Usual(
                items=items.get(key.lower()),
                secs=secs,
                cost_usd=None if cost is None else float(cost),
            ),
        )
