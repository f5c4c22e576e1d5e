"""`orchestrator list`: lists the batches under the output folder."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER, all_batches, batches
from orchestrator.app.clock import utc_now
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.streams import terminal_size
from orchestrator.errors import UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.report.batches_table import ListedBatch, table_lines
from orchestrator.report.summary import summary_of


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    output = settings_of(options).output
    folders = all_batches(output) if options.name is None else batches(output / options.name)
    listed = list(_read(folders))
    if options.json:
        print(json.dumps({"batches": [_fields(*one) for one in listed]}))
    elif listed:
        _print_table([one for _, one in listed])
    else:
        print(f"no batches under {output}")
    return 0


def _read(folders: Iterator[Path]) -> Iterator[tuple[Path, ListedBatch]]:
    for folder in folders:
        try:
            with LedgerReader(folder / LEDGER) as reader:
                batch, totals = reader.batch(), reader.totals()
        except UsageError as error:
            # One ledger that cannot be read must not hide the others.
            sys.stderr.write(f"{error}\n")
            continue
        yield folder, ListedBatch(batch=batch, totals=totals, is_held=is_held(folder))


def _fields(folder: Path, one: ListedBatch) -> dict[str, object]:
    summary = summary_of(one.batch, one.totals)
    return {**summary, "folder": str(folder), "is_held": one.is_held}


def _print_table(listed: Sequence[ListedBatch]) -> None:
    # A file or a pipe gets all columns.
    width = terminal_size(sys.stdout).columns if sys.stdout.isatty() else None
    for line in table_lines(listed, utc_now(), width=width):
        print(line)
