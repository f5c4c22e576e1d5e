"""`orchestrator platform serve` and `platform build`: the local platform by itself."""

from __future__ import annotations

import argparse

from orchestrator.cli.emulator import run_emulator_command
from orchestrator.cli.event_loop import in_event_loop


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    in_event_loop(run_emulator_command, options)
    return 0
