"""
The files that say how a batch went, made from its ledger whenever a process leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from orchestrator.collector.files import write_file
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.reading import Totals
from orchestrator.model.batches import Batch
from orchestrator.report.summary import job_line, summary_of

LINES_AT_ONCE = 256


def write_reports(folder: Path, batch: Batch, reader: LedgerReader, totals: Totals) -> None:
    """
    Writes `summary.json` and `jobs.jsonl`, each whole or not at all.

    Raises:
        DiskFull, OutputLost.
    """
    lines = (
        orjson.dumps(job_line(batch, report), option=orjson.OPT_APPEND_NEWLINE)
        for report in reader.reports()
    )
    # A write for each line would take longer than all the rest.
    write_file(folder / "jobs.jsonl", _joined(lines))
    summary = orjson.dumps(summary_of(batch, totals), option=orjson.OPT_INDENT_2)
    write_file(folder / "summary.json", [summary, b"\n"])


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    lines = iter(lines)
    while piece := b"".join(islice(lines, LINES_AT_ONCE)):
        yield piece
