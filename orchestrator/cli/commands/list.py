"""`orchestrator list`: lists the batches under the output folder."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.app.batch_folders import Found, every_batch, survey
from orchestrator.app.clock import utc_now
from orchestrator.app.history.saved_summary import summary_in
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.streams import terminal_size
from orchestrator.errors import UsageError
from orchestrator.ledger.lock import is_held
from orchestrator.report.batches_table import ListedBatch, table_lines


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    output = settings_of(options).output
    found = every_batch(output) if options.name is None else survey(output / options.name).found
    listed = list(_read(found))
    if options.json:
        print(json.dumps({"batches": [_fields(*one) for one in listed]}))
    elif listed:
        _print_table([one for _, one in listed])
    else:
        print(f"no batches under {output if options.name is None else output / options.name}")
    return 0


def _read(found: Iterable[Found]) -> Iterator[tuple[Path, ListedBatch]]:
    for one in found:
        try:
            summary, held = summary_in(one.folder, one.batch), is_held(one.folder)
        except UsageError as error:
            # One batch that cannot be read must not hide the others.
            sys.stderr.write(f"{error}\n")
            continue
        yield one.folder, ListedBatch(batch=one.batch, summary=summary, is_held=held)


def _fields(folder: Path, one: ListedBatch) -> dict[str, object]:
    return {**one.summary, "folder": str(folder), "is_held": one.is_held}


def _print_table(listed: Sequence[ListedBatch]) -> None:
    # A file or a pipe gets all columns.
    width = terminal_size(sys.stdout).columns if sys.stdout.isatty() else None
    for line in table_lines(listed, utc_now(), width=width):
        print(line)
