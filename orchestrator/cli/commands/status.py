"""
`orchestrator status`: prints the state of a batch; the process that runs it may continue.

A live batch is shown as `watch` shows it. Heavy libraries are imported by the modules that need
them: `status` answers at once, also for a batch of ten thousand jobs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from orchestrator.app.batch.live_status import recorded_progress
from orchestrator.app.batch_folders import (
    LEDGER,
    batch_names,
    find_batch,
    newest_of_each,
    refuse_unreadable,
)
from orchestrator.cli.batch_state import print_live, print_state
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.cost_refresh import refresh
from orchestrator.cli.job_waits import print_why
from orchestrator.errors import BatchNotFound
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.model.batches import Batch
from orchestrator.model.progress import Progress
from orchestrator.report.failure_lines import failure_fields
from orchestrator.report.failures import group_failures
from orchestrator.report.progress_fields import progress_fields
from orchestrator.report.summary import summary_of


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    folder = _folder(settings.output, options.batch)
    if options.why is not None:
        print_why(folder, options.why, as_json=options.json)
        return 0
    held = is_held(folder)
    if not held:
        refresh(folder, settings)
    with LedgerReader(folder / LEDGER) as reader, reader.at_one_instant():
        batch = reader.batch()
        progress = recorded_progress(reader) if held else None
        if options.json:
            _print_json(reader, batch, progress, folder, is_held=held)
        elif progress is None:
            print_state(reader, batch, folder, is_held=held)
        else:
            print_live(reader, batch, progress, folder)
    return 0


def _folder(output: Path, batch: str | None) -> Path:
    """The folder of a batch; without one, of the newest."""
    if batch is not None:
        return find_batch(output, batch)
    folders = newest_of_each(output)
    if not folders:
        refuse_unreadable(batch_names(output))
        raise BatchNotFound(
            f"{output}: there is no batch yet; start one with `orchestrator run SPEC`"
        )
    return max(folders, key=lambda path: path.name)


def _print_json(
    reader: LedgerReader, batch: Batch, progress: Progress | None, folder: Path, *, is_held: bool
) -> None:
    facts = {
        **summary_of(batch, reader.totals()),
        "folder": str(folder),
        "is_held": is_held,
        "failures": failure_fields(batch, group_failures(reader.failed_jobs())),
        "live": None if progress is None else progress_fields(progress),
    }
    print(json.dumps(facts))
