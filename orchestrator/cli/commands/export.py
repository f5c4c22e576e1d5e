"""`orchestrator export`: writes one table of all results of a batch."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from orchestrator.app.batch_folders import find_batch
from orchestrator.app.outputs.export_file import Exported, export
from orchestrator.app.outputs.merge import warn_of_table
from orchestrator.app.setup.signals import cleaned_up
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.foreign_output import ForeignOutput
from orchestrator.cli.streams import output_is_broken
from orchestrator.errors import UsageError
from orchestrator.event_log import configure_logs
from orchestrator.extras import Extra, not_installed
from orchestrator.model.batches import ResultsFormat
from orchestrator.results.table_writer import LEFT_OUT, REJECTS

STDOUT = "-"


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.output == STDOUT:
        raise UsageError("--output names the folder of the batches; for standard output: --to -")
    settings = settings_of(options)
    if options.json and options.to == STDOUT:
        raise UsageError("--json and --to - both write to standard output: give --to a file")
    if options.to is not None and "://" in options.to:
        raise UsageError(
            f"--to {options.to} is no file of this machine: write one, or - for standard output, "
            "and upload it with a tool of the store"
        )
    if options.format == "parquet" and find_spec("pyarrow") is None:
        raise UsageError(f"Parquet {not_installed(Extra.PARQUET)}")
    configure_logs(level=settings.log_level, as_json=settings.log_format == "json")
    folder = find_batch(settings.output, options.batch)
    format_ = ResultsFormat(options.format)
    if options.to == STDOUT:
        done = _to_stdout(folder, format_, options)
    else:
        target = None if options.to is None else Path(options.to)
        done = export(folder, format_, since=options.since, target=target)
        if options.json:
            print(json.dumps(_facts(done)))
        else:
            print(done.file)
    kept_in = "the files of the jobs" if options.to == STDOUT else f"{done.file}.{REJECTS}"
    warn_of_table(done.table, kept_in=kept_in)
    for words in done.left_out:
        sys.stderr.write(f"{words}\n")
    batches = "1 batch" if done.batches == 1 else f"{done.batches} batches"
    sys.stderr.write(f"{done.table.rows:,} rows of {batches}\n")
    return 0 if done.is_whole else 1


def _to_stdout(folder: Path, format_: ResultsFormat, options: argparse.Namespace) -> Exported:
    """Writes the table to a temporary file, and that to standard output."""
    # A file first: columns that change late mean that the table is written a second time.
    place = mkdtemp(prefix="orchestrator-export-")
    with cleaned_up(lambda: rmtree(place, ignore_errors=True)):
        done = export(folder, format_, since=options.since, target=Path(place, "table"))
        output = ForeignOutput()
        with done.file.open("rb") as file:
            # A reader such as `head` ends early, which is no error.
            while not output_is_broken() and (piece := file.read(1024 * 1024)):
                output.write(piece)
        output.finish()
    return done


def _facts(done: Exported) -> dict[str, object]:
    table = done.table
    return {
        "file": str(done.file.absolute()),
        "batches": done.batches,
        "items": table.items,
        "rows": table.rows,
        **{name: getattr(table, name) for name in LEFT_OUT},
        "left_out": list(done.left_out),
    }
