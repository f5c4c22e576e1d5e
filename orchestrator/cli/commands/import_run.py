"""`orchestrator import`: the spec of a run that was made in the Console."""

from __future__ import annotations

import argparse

from orchestrator.cli.arguments import add_output, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN_ID", help="the id of a run")
    add_output(parser)
    parser.set_defaults(on_signal="leave")


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    from orchestrator.app.plan.imported_run import spec_of_run
    from orchestrator.cli.batch_run import make_context
    from orchestrator.cli.event_loop import in_event_loop

    context = make_context(options, settings_of(options))
    print(in_event_loop(spec_of_run, options.run_id, context), end="")
    return 0
