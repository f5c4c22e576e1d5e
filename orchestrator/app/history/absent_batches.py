"""Which batches of a name have ended on another machine, so that a spec cannot read them here."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, Found, survey
from orchestrator.app.history.saved_summary import saved_summary
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.location import location_of
from orchestrator.specfile.tables.data_source import Absent


def absent_batches(output: Path, *, is_local: bool) -> Absent:
    """
    Returns which batches of a name count, by their ledgers, and have no reports of that end here.

    With a ledger in a file, all that reports are made of is here: missing ones are written.

    Args:
        output: the folder of all batches.
        is_local: whether only batches on the local platform count, or only the others.
    """
    return partial(_absent, output, is_local=is_local)


def _absent(output: Path, name: str, *, is_local: bool) -> Collection[Path]:
    return [
        found.folder
        for found in survey(output / name).found
        if found.batch.is_done
        and (found.batch.plan.local is not None) == is_local
        and not _has_reports(found)
    ]


def _has_reports(found: Found) -> bool:
    folder, batch = found.folder, found.batch
    if saved_summary(folder, batch) is not None:
        return True
    if location_of(folder / LEDGER) is not None:
        return False
    # Only a batch whose process died before it wrote them lacks them.
    from orchestrator.app.batch.final_files import write_reports

    with suppress(OrchestratorError), LedgerReader(folder / LEDGER) as reader:
        write_reports(folder, batch, reader, reader.totals())
        return True
    return False
