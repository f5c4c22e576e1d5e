"""`orchestrator report`: writes the reports of a batch again, and names the HTML page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from orchestrator.app.batch.final_files import PAGE, write_page, write_reports
from orchestrator.app.batch_folders import LEDGER, find_batch
from orchestrator.app.outputs.object_store import upload
from orchestrator.cli.batch_selection import selection_in
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.cost_refresh import refresh
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.errors import OutputLost, OutputNotWritable
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import Batch, BatchState


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    refresh(folder, settings)
    try:
        _write(folder, options)
    except OutputLost as error:
        raise OutputNotWritable(
            f"{folder}: the reports cannot be written: correct its permissions, or copy the batch "
            "to a folder that can be written"
        ) from error
    path = folder / PAGE
    print(json.dumps({"report": str(path)}) if options.json else path)
    return 0


def _write(folder: Path, options: argparse.Namespace) -> None:
    with LedgerReader(folder / LEDGER) as reader:
        batch, totals = reader.batch(), reader.totals()
        if options.select is None:
            write_reports(folder, batch, reader, totals)
            # A program waits for `summary.json` at the store, and finds all other files then.
            if batch.plan.remote is not None and batch.state is not BatchState.OPEN:
                _upload(folder, batch)
        else:
            selection_in(folder, options.select)
            write_page(folder, batch, reader, totals, options.select)


def _upload(folder: Path, batch: Batch) -> None:
    in_event_loop(upload, folder, batch)
