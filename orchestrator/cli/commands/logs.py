"""`orchestrator logs`: prints the log of a job's run, and follows it while it runs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch_folders import find_batch
from orchestrator.app.outputs.run_logs import log_of
from orchestrator.app.setup.context import BatchContext
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.platform_connection import connector
from orchestrator.cli.streams import output_is_broken
from orchestrator.report.log_text import LogText


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    context = replace(make_context(options, settings), connect=connector(settings, share=True))
    in_event_loop(_print, folder, options.job, context)
    return 0


async def _print(folder: Path, key: str, context: BatchContext) -> None:
    # A file or a pipe gets exactly the bytes that the Actor printed.
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
