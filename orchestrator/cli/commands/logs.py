"""`orchestrator logs`: the log of a job's run, followed while it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from orchestrator.cli.arguments import add_output, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.app.setup.context import BatchContext


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("batch", metavar="BATCH", help="a batch: its folder, NAME or NAME/ID")
    parser.add_argument("job", metavar="JOB", help="the key of a job")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    from dataclasses import replace

    from orchestrator.app.batch_folders import find_batch
    from orchestrator.cli.batch_run import make_context
    from orchestrator.cli.event_loop import in_event_loop
    from orchestrator.cli.platform_connection import connector

    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    context = replace(make_context(options, settings), connect=connector(settings, share=True))
    in_event_loop(_print, folder, options.job, context)
    return 0


async def _print(folder: Path, key: str, context: BatchContext) -> None:
    import sys

    from orchestrator.app.outputs.run_logs import log_of
    from orchestrator.cli.streams import output_is_broken
    from orchestrator.report.log_text import LogText

    # In a file or a pipe the log is what the Actor printed, byte by byte.
    shown = LogText() if sys.stdout.isatty() else None
    async for piece in log_of(folder, key, context):
        if shown is None:
            sys.stdout.buffer.write(piece)
        else:
            sys.stdout.write(shown.feed(piece))
        sys.stdout.flush()
        if output_is_broken():
            return
    if shown is not None:
        sys.stdout.write(shown.finish())
