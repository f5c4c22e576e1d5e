"""`orchestrator watch`: a live view of a batch, until the process that runs it ends."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import anyio

from orchestrator.app.batch.live_status import LiveStatus, watch
from orchestrator.app.batch_folders import find_batch
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.commands.status import show
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.progress_display import display_for
from orchestrator.cli.streams import output_is_broken
from orchestrator.report.progress import Progress
from orchestrator.report.summary import summary_of

# No exit code was recorded, so the batch can be resumed, which is what 3 means.
PROCESS_KILLED = 3


def call(options: argparse.Namespace) -> int:
    """
    Runs the command; returns the exit code of the process that ran the batch.

    Returns 0 when the reader of its output is gone.
    """
    folder = find_batch(settings_of(options).output, options.batch)
    last = in_event_loop(_print_changes if options.json else _display, folder)
    if last is None:
        return 0
    if not options.json:
        show(last.batch, last.totals, folder, is_held=False)
    return PROCESS_KILLED if last.batch.exit_code is None else last.batch.exit_code


async def _print_changes(folder: Path) -> LiveStatus | None:
    printed = ""

    def print_change(status: LiveStatus) -> None:
        nonlocal printed
        facts = {**summary_of(status.batch, status.totals), "folder": str(folder)}
        line = json.dumps({**facts, "is_held": status.is_held})
        if line != printed:
            print(line, flush=True)
            printed = line
        # A reader that is gone must not leave a process that follows the batch for ever.
        if output_is_broken():
            scope.cancel()

    with anyio.CancelScope() as scope:
        return await watch(folder, print_change)
    return None


async def _display(folder: Path) -> LiveStatus:
    display = display_for("auto", first_line_secs=0.0, line_every_secs=2.0)
    progress = Progress(total=0, began_at=anyio.current_time())
    is_shown = False

    def update(status: LiveStatus) -> None:
        nonlocal is_shown
        progress.follow(status.totals)
        if not is_shown:
            # From here on the speed is measured; what was done before has no known duration.
            progress.settled_before = progress.done
            tasks.start_soon(display.show, progress, dict, name="display")
            is_shown = True

    async with anyio.create_task_group() as tasks:
        last = await watch(folder, update)
        tasks.cancel_scope.cancel()
    return last
