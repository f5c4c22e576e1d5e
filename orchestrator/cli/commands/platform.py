"""`orchestrator platform serve` and `platform build`: the local platform by itself."""

from __future__ import annotations

import argparse

from orchestrator.cli.emulator import add_emulator_commands, run_emulator_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    add_emulator_commands(parser)
    parser.set_defaults(json=False)


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    from orchestrator.cli.event_loop import in_event_loop

    in_event_loop(run_emulator_command, options)
    return 0
