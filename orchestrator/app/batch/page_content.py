"""Collects what the page of a batch shows from its ledger and from earlier batches."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

from orchestrator.app.batch_folders import display
from orchestrator.app.history.trend import Trend
from orchestrator.app.occurrences.schedules import zone_named
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.selection import parse_selection
from orchestrator.report.failures import group_failures
from orchestrator.report.page.batch_page import BatchPage, PageFacts


def batch_page(
    folder: Path,
    batch: Batch,
    reader: LedgerReader,
    totals: Totals,
    select: str | None = None,
) -> BatchPage:
    """
    The page of a batch that no process runs any more.

    Args:
        select: which jobs to show, as typed on the command line; None for all.
    """
    trend = Trend(folder, batch)
    facts = PageFacts(
        batch=batch,
        totals=totals,
        zone=zone_of(batch),
        now=datetime.now(UTC),
        folder=display(folder),
        failures=group_failures(reader.failed_jobs()),
        past=trend.past,
        usual=trend.usual,
        problems=trend.problems,
    )
    page, selection = BatchPage(facts, selection=select or ""), parse_selection(select)
    for job in reader.listed():
        if selection.matches(job.key, job.status, job.tags):
            page.add(job)
    return page


def zone_of(batch: Batch) -> tzinfo:
    """The time zone in which people read the times of a batch."""
    try:
        return zone_named(batch.plan.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        # The ledger may come from a machine that knows more zones.
        return UTC
