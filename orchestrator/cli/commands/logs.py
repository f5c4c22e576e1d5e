"""`orchestrator logs`: prints the log of a job's run, and follows it while it runs."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import aclosing

from orchestrator.app.batch_folders import find_batch
from orchestrator.app.outputs.run_logs import log_of, logs_to_the_end
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.foreign_output import ForeignOutput
from orchestrator.cli.stdout_reader import until_reader_leaves
from orchestrator.cli.streams import output_is_broken


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    settings = settings_of(options)
    folder = find_batch(settings.output, options.batch)
    context = make_context(options, settings, share=True)
    source = logs_to_the_end if options.follow else log_of
    in_event_loop(_print, source(folder, options.job, context))
    return 0


async def _print(source: AsyncGenerator[bytes]) -> None:
    output = ForeignOutput()
    # Closed here, where its connection is: output that is lost ends it in the middle.
    async with until_reader_leaves(), aclosing(source) as pieces:
        async for piece in pieces:
            output.write(piece)
            if output_is_broken():
                return
    output.finish()
