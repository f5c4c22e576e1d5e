"""The summary of a batch: from its file where that is of the same end, else from its ledger."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from orchestrator.app.batch_folders import LEDGER
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.states import JobStatus
from orchestrator.report.summary import NEWEST, moment, summary_of

SUMMARY = "summary.json"


def saved_summary(folder: Path, batch: Batch) -> dict[str, Any] | None:
    """What `summary.json` says of a batch; None when it is open, or the file is of another end."""
    if batch.state is BatchState.OPEN:
        return None
    # A ledger of 10,000 jobs is counted in 75 ms, its summary is read in one.
    with suppress(OSError, ValueError, LookupError, TypeError):
        summary: dict[str, Any] = orjson.loads((folder / SUMMARY).read_bytes())
        facts = ("id", batch.id), ("state", batch.state), ("finished_at", moment(batch.ended_at))
        if all(summary[name] == value for name, value in facts) and _has_figures(summary):
            return summary
    return None


def _has_figures(summary: dict[str, Any]) -> bool:
    """Whether the figures are figures: one file that was changed must not end a list of all."""
    counts = [summary["jobs"][status] for status in JobStatus]
    counts += [summary["jobs_total"], summary["items"]]
    figures = [*counts, summary["cost_usd"], summary.get("active_secs", 0) or 0]
    words = summary.get("caller"), summary.get("command")
    return (
        all(isinstance(one, int) for one in counts)
        and all(isinstance(one, int | float) for one in figures)
        and all(one is None or isinstance(one, str) for one in words)
    )


def summary_in(folder: Path, batch: Batch) -> dict[str, Any]:
    """
    All fields of the summary of a batch.

    Raises:
        LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable: the ledger cannot be read.
    """
    summary = saved_summary(folder, batch)
    # The file of an earlier version lacks fields.
    if summary is not None and batch.completed_at is not None and NEWEST in summary:
        return summary
    with LedgerReader(folder / LEDGER) as reader:
        return dict(summary_of(reader.batch(), reader.totals()))
