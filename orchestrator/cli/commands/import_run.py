"""`orchestrator import`: prints the spec of a run from the Console."""

from __future__ import annotations

import argparse

from orchestrator.app.plan.imported_run import spec_of_run
from orchestrator.cli.batch_run import make_context
from orchestrator.cli.command_settings import settings_of
from orchestrator.cli.event_loop import in_event_loop


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = make_context(options, settings_of(options))
    print(in_event_loop(spec_of_run, options.run_id, context), end="")
    return 0
