"""Which jobs of a batch `--select` names."""

from __future__ import annotations

from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.model.selection import Selection, parse_selection


def selection_in(folder: Path, text: str | None) -> Selection:
    """
    Reads a selection of jobs of a batch; None selects every job.

    It may select none by their status: that no job has failed is no mistake.

    Raises:
        UsageError: no job of the batch has such a name or tag.
    """
    selection = parse_selection(text)
    if text is not None:
        of_any_status = selection.without_statuses()
        with LedgerReader(folder / LEDGER) as reader:
            jobs = (report.job for report in reader.reports())
            if not any(of_any_status.matches(job.key, "", job.tags) for job in jobs):
                raise UsageError(f"no job of {display(folder)} is selected by --select {text!r}")
    return selection
