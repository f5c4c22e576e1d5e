"""Collects what the page of a batch shows from its ledger and from earlier batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch.live_status import progress_of
from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.app.clock import utc_now
from orchestrator.app.history.trend import Trend
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.statistics import Totals
from orchestrator.ledger.stores import ledger_state
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.zones import zone_of
from orchestrator.report.failures import group_failures
from orchestrator.report.page.batch_page import BatchPage, PageFacts


def begin_page(
    folder: Path, batch: Batch, reader: LedgerReader, totals: Totals, selection: str = ""
) -> BatchPage:
    """
    The page of a batch as of now, for a file; its jobs are still to be added.

    Args:
        selection: which jobs it will show, as typed on the command line; empty for all.
    """
    # The process that ends a batch still holds it.
    held = batch.state is BatchState.OPEN and is_held(folder)
    facts = _facts(folder, batch, reader, totals, Trend(folder, batch))
    facts = replace(facts, is_held=held, progress=progress_of(reader) if held else None)
    return BatchPage(facts, selection=selection)


class BatchReading:
    """
    Reads a batch again and again, beside the process that writes it; the methods block.

    Args:
        job_pages: what the address of the page of a job begins with.

    Attributes:
        is_held: whether a process ran the batch when its state was last asked for.
    """

    def __init__(self, folder: Path, job_pages: str) -> None:
        self._folder = folder
        self._job_pages = job_pages
        self._trend: Trend | None = None
        self.is_held = False

    def state(self) -> tuple[object, ...]:
        """What changes when the batch does."""
        self.is_held = is_held(self._folder)
        return (self.is_held, *ledger_state(self._folder))

    def page(self, errors: dict[str, int]) -> BatchPage:
        """
        The page as of now.

        Args:
            errors: of the pages before; see `JobTable`.

        Raises:
            LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the batch cannot be read.
        """
        with LedgerReader(self._folder / LEDGER) as reader, reader.at_one_instant():
            batch = reader.batch()
            if self._trend is None:
                self._trend = Trend(self._folder, batch)
            facts = _facts(self._folder, batch, reader, reader.totals(), self._trend)
            facts = replace(
                facts,
                is_held=self.is_held,
                progress=progress_of(reader) if self.is_held else None,
                job_pages=self._job_pages,
            )
            page = BatchPage(facts, errors)
            for job in reader.listed():
                page.add(job)
        return page


def _facts(
    folder: Path, batch: Batch, reader: LedgerReader, totals: Totals, trend: Trend
) -> PageFacts:
    return PageFacts(
        batch=batch,
        totals=totals,
        zone=zone_of(batch),
        now=utc_now(),
        folder=display(folder),
        failures=group_failures(reader.failed_jobs()),
        past=trend.past,
        usual=trend.usual,
        problems=trend.problems,
    )
