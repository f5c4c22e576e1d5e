"""
The files that say how a batch went, made from its ledger whenever a process leaves it.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from orchestrator.collector.files import write_file
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.reading import Totals
from orchestrator.model.batches import Batch
from orchestrator.report.summary import job_line, summary_of


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
    write_file(folder / "jobs.jsonl", lines)
    summary = orjson.dumps(summary_of(batch, totals), option=orjson.OPT_INDENT_2)
    write_file(folder / "summary.json", [summary, b"\n"])
