"""`orchestrator watch`: a live view of a batch, until the process that runs it ends."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import anyio

from orchestrator.app.batch.live_status import progress_of, watch
from orchestrator.app.batch_folders import LEDGER, display, find_batch
from orchestrator.cli.batch_state import print_state
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.progress_display import display_for
from orchestrator.cli.stdout_reader import until_reader_leaves
from orchestrator.cli.streams import output_is_broken, write_lines
from orchestrator.errors import Interrupted
from orchestrator.ledger import LedgerReader
from orchestrator.model.progress import Progress
from orchestrator.pasted_command import pasted_command
from orchestrator.report.summary import summary_of

# No exit code was recorded, so the batch can be resumed, which is what 3 means.
PROCESS_KILLED = 3


def call(options: argparse.Namespace) -> int:
    """
    Runs the command; returns the exit code of the process that ran the batch.

    Returns 0 when the reader of its output is gone.
    """
    folder = find_batch(settings_of(options).output, options.batch)
    try:
        if not in_event_loop(_print_changes if options.json else _display, folder):
            return 0
    except Interrupted as signal:
        if not options.json:
            write_lines(_left_words(folder), sys.stderr)
        return signal.exit_code
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        if not options.json:
            print_state(reader, batch, folder, is_held=False)
    return PROCESS_KILLED if batch.exit_code is None else batch.exit_code


def _left_words(folder: Path) -> str:
    """Says that the batch continues, and how to end it."""
    with LedgerReader(folder / LEDGER) as reader:
        runs = len(reader.live_runs())
    count = "1 run" if runs == 1 else f"{runs:,} runs"
    return (
        f"only watching has ended: the process that runs the batch continues, with {count} at the "
        "platform. To abort them, stop that process, then call: "
        f"{pasted_command('abort', display(folder))}"
    )


async def _print_changes(folder: Path) -> bool:
    """Prints the summary when it changes; returns whether the batch was watched to its end."""
    printed = ""

    def print_change(reader: LedgerReader, held: bool) -> None:
        nonlocal printed
        facts = {**summary_of(reader.batch(), reader.totals()), "folder": str(folder)}
        line = json.dumps({**facts, "is_held": held})
        if line != printed:
            print(line, flush=True)
            printed = line
        # A reader that is gone must not leave a process that follows the batch for ever.
        if output_is_broken():
            scope.cancel()

    with anyio.CancelScope() as scope:
        async with until_reader_leaves():
            await watch(folder, print_change)
            return True
    return False


async def _display(folder: Path) -> bool:
    """Shows the batch until its end."""
    view = display_for("auto", first_line_secs=0.0, line_every_secs=2.0)
    last: Progress | None = None

    def update(reader: LedgerReader, held: bool) -> None:
        nonlocal last
        is_first = last is None
        if held or is_first:
            last = progress_of(reader)
        if is_first:
            tasks.start_soon(view.show, folder, latest, name="display")

    def latest(_rows: int) -> Progress:
        assert last is not None  # noqa: S101 - the display starts after the first look
        return last

    async with anyio.create_task_group() as tasks:
        await watch(folder, update)
        tasks.cancel_scope.cancel()
    return True
