"""What the earlier batches of a series did, for the page of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, Found, display, survey
from orchestrator.app.history.series import earlier_of
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch, BatchState
from orchestrator.report.page.comparison import PastBatch, Usual

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
        self.past: list[PastBatch] = []
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
        with LedgerReader(found.folder / LEDGER) as reader:
            past = PastBatch(batch=reader.batch(), totals=reader.totals())
            if not self.usual and past.batch.state is BatchState.ENDED:
                self.usual = dict(_usual(reader))
        self.past.append(past)


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
