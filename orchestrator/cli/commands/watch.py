"""`orchestrator watch`: a live view of a batch that another process runs, until that leaves it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import anyio

from orchestrator.app.batch.live_status import Look, follow
from orchestrator.app.batch_folders import find_batch
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.commands.status import show
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.progress_display import display_for
from orchestrator.cli.streams import output_is_broken
from orchestrator.report.progress import Progress
from orchestrator.report.summary import summary_of

LEFT_WITHOUT_A_WORD = 3


def call(options: argparse.Namespace) -> int:
    """
    Runs the command; returns the exit code of the process that left the batch.

    It ends with 0 when nobody reads its output any more.
    """
    folder = find_batch(settings_of(options).output, options.batch)
    last = in_event_loop(_print_changes if options.json else _display, folder)
    if last is None:
        return 0
    if not options.json:
        show(last.batch, last.totals, folder, is_held=False)
    return LEFT_WITHOUT_A_WORD if last.batch.exit_code is None else last.batch.exit_code


async def _print_changes(folder: Path) -> Look | None:

    told = ""

    def tell(look: Look) -> None:
        nonlocal told
        facts = {**summary_of(look.batch, look.totals), "folder": str(folder)}
        line = json.dumps({**facts, "is_held": look.is_held})
        if line != told:
            print(line, flush=True)
            told = line
        if output_is_broken():
            scope.cancel()

    with anyio.CancelScope() as scope:
        return await follow(folder, tell)
    return None


async def _display(folder: Path) -> Look:

    display = display_for("auto", first_line_secs=0.0, line_every_secs=2.0)
    progress = Progress(total=0, began_at=anyio.current_time())
    is_shown = False

    def tell(look: Look) -> None:
        nonlocal is_shown
        progress.follow(look.totals)
        if not is_shown:
            progress.settled_before = progress.done
            tasks.start_soon(display.show, progress, dict, name="display")
            is_shown = True

    async with anyio.create_task_group() as tasks:
        last = await follow(folder, tell)
        tasks.cancel_scope.cancel()
    return last
