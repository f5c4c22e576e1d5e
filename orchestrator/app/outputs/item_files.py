"""The files with the items of a batch that its tables are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.series import number_of, occurrence_of
from orchestrator.ledger import JobReport, LedgerReader
from orchestrator.model.states import JobStatus
from orchestrator.results.item_source import Source

ITEMS = "items.jsonl"


def sources_of(folder: Path, *, is_one_of_many: bool = False) -> Iterator[Source]:
    """
    The items of each job that succeeded and has its items as JSON Lines.

    Args:
        is_one_of_many: whether the table has several batches.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        number = number_of(batch)
        for report in reader.reports():
            if has_items(report):
                job = report.job
                yield Source(
                    path=folder / "jobs" / job.key / ITEMS,
                    job=job.key,
                    run=report.run_id,
                    items=report.items or 0,
                    params=job.params,
                    number=number,
                    batch=batch.id if is_one_of_many else None,
                    occurrence=occurrence_of(batch) if is_one_of_many else None,
                )


def has_items(report: JobReport) -> bool:
    """Whether a job has items that belong in a table."""
    return (
        report.status is JobStatus.SUCCEEDED
        and bool(report.size_bytes)
        and report.job.collect.query.format == "jsonl"
    )
