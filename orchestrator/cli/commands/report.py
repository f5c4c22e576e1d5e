"""`orchestrator report`: write the reports of a batch again, and name the HTML page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from orchestrator.cli.arguments import add_output, add_select, settings_of
from orchestrator.cli.cost_refresh import refresh

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model.batches import Batch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    add_select(parser, "only these jobs on the page")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_output(parser)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    import json

    from orchestrator.app.batch.final_files import PAGE, write_page, write_reports
    from orchestrator.app.batch_folders import LEDGER, find_batch
    from orchestrator.ledger import LedgerReader
    from orchestrator.model.selection import parse_selection

    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    refresh(folder, settings)
    selection = parse_selection(options.select)
    with LedgerReader(folder / LEDGER) as reader:
        batch, totals = reader.batch(), reader.totals()
        if options.select is None:
            write_reports(folder, batch, reader, totals)
            if batch.plan.remote is not None:
                _upload(folder, batch)
        else:
            write_page(folder, batch, reader, totals, selection)
    path = folder / PAGE
    print(json.dumps({"report": str(path)}) if options.json else path)
    return 0


def _upload(folder: Path, batch: Batch) -> None:
    from orchestrator.app.outputs.object_store import upload
    from orchestrator.cli.event_loop import in_event_loop

    in_event_loop(upload, folder, batch)
