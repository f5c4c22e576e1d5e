"""`orchestrator list`: lists the batches under the output folder."""

from __future__ import annotations

import argparse
import json
import sys

from orchestrator.app.batch_folders import LEDGER, all_batches, batches
from orchestrator.cli.command_settings import settings_of
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.report.summary import summary_of
from orchestrator.report.terminal import batches_table, print_table


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    output = settings_of(options).output
    folders = all_batches(output) if options.name is None else batches(output / options.name)
    summaries = []
    for folder in folders:
        try:
            with LedgerReader(folder / LEDGER) as reader:
                summary = summary_of(reader.batch(), reader.totals())
        except UsageError as error:
            # One ledger that cannot be read must not hide the others.
            sys.stderr.write(f"{error}\n")
            continue
        summaries.append({**summary, "folder": str(folder), "is_held": is_held(folder)})
    if options.json:
        print(json.dumps({"batches": summaries}))
    elif summaries:
        print_table(batches_table(summaries))
    else:
        print(f"no batches under {output}")
    return 0
