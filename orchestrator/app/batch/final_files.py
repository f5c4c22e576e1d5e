"""The reports of a batch, and the other steps after its last run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from orchestrator.app.batch.page_content import begin_page
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.clock import utc_now
from orchestrator.app.outputs.object_store import uploaded
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.ledger.amendments import complete
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.selection import parse_selection
from orchestrator.report.page.batch_page import BatchPage
from orchestrator.report.page.document import report_document
from orchestrator.report.summary import job_line, summary_of
from orchestrator.store.disk_writes import write_file

PAGE = "report.html"
LINES_AT_ONCE = 256


async def finish(
    folder: Path, batch: Batch, closer: Ledger | None = None, totals: Totals | None = None
) -> Batch:
    """
    Writes the reports of a batch, uploads its files, and records that it is complete.

    If the process dies before the end, the batch is not complete in the ledger, and a later call
    repeats all steps.

    Args:
        batch: with its results merged, and the exit code after that.
        closer: of the process that closes a shared batch, and that may have been paused.
        totals: None: they are counted.

    Returns:
        the batch; its exit code shows whether the upload failed.

    Raises:
        StoppedEarly: the disk is full; the call may be repeated.
        LeaseLost: another process closes the batch.
    """
    if closer is not None:
        await closer.check_owner()
    with LedgerReader(folder / LEDGER) as reader:
        write_reports(folder, batch, reader, totals or reader.totals())
    if closer is not None:
        await closer.check_owner()
    batch = await uploaded(folder, batch)
    # The ledger has the exit code of the runs. Another code means that a later step failed.
    if batch.is_done and batch.exit_code == read_batch(folder / LEDGER).exit_code:
        if closer is not None:
            return await closer.mark_complete(utc_now())
        return complete(folder / LEDGER, utc_now())
    return batch


def write_reports(folder: Path, batch: Batch, reader: LedgerReader, totals: Totals) -> None:
    """
    Writes `summary.json`, `jobs.jsonl` and `report.html`, each whole or not at all.

    Raises:
        DiskFull, OutputLost.
    """
    page = begin_page(folder, batch, reader, totals)
    # One write for each line would take longer than everything else.
    write_file(folder / "jobs.jsonl", _joined(_lines(page, reader)))
    summary = orjson.dumps(summary_of(batch, totals), option=orjson.OPT_INDENT_2)
    write_file(folder / "summary.json", [summary, b"\n"])
    write_file(folder / PAGE, report_document(page))


def write_page(
    folder: Path, batch: Batch, reader: LedgerReader, totals: Totals, select: str
) -> None:
    """
    Writes only `report.html`, with some of the jobs.

    Raises:
        DiskFull, OutputLost.
    """
    page, selection = begin_page(folder, batch, reader, totals, select), parse_selection(select)
    for job in reader.listed():
        if selection.matches(job.key, job.status, job.tags):
            page.add(job)
    write_file(folder / PAGE, report_document(page))


def _lines(page: BatchPage, reader: LedgerReader) -> Iterator[bytes]:
    """The lines of `jobs.jsonl`; adds their jobs to the page, so that they are read once."""
    for job in reader.listed():
        page.add(job)
        yield orjson.dumps(job_line(page.facts.batch, job), option=orjson.OPT_APPEND_NEWLINE)


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    lines = iter(lines)
    while piece := b"".join(islice(lines, LINES_AT_ONCE)):
        yield piece
