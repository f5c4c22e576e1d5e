"""What one job waits for: `orchestrator status --why`."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.pasted_command import pasted_command
from orchestrator.report.why import why
from orchestrator.safe_text import plain
from orchestrator.specfile.diagnostics import unknown


def print_why(folder: Path, key: str, *, as_json: bool) -> None:
    """
    Prints what one job waits for.

    Raises:
        UsageError: there is no such job.
    """
    # It imports the scheduler, which `status` itself does without.
    from orchestrator.app.batch.needed_results import unmet

    held = is_held(folder)
    with LedgerReader(folder / LEDGER) as reader:
        report = reader.report(key)
        if report is None:
            raise UsageError(f"{folder.name}: {unknown(key, reader.keys(), 'job')}")
        reason = why(
            report,
            reader.place(report.job.key),
            reader.waits(),
            unmet=unmet(reader, report.job.needs),
            resume=None if held else pasted_command("resume", display(folder)),
        )
    if as_json:
        facts = {"job": report.job.key, "status": report.status.value, "waits_for": reason}
        print(json.dumps(facts))
    else:
        print(f"{report.job.key} ({report.status.value}) waits for {plain(reason)}")
