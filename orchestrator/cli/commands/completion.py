"""`orchestrator completion`: prints a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse

import shtab

from orchestrator.cli.command_list import COMMANDS
from orchestrator.cli.parser import command_parser

BATCHES = "ls output 2>/dev/null"
"""Lists the names of the batches, if the output folder is the default one."""

VALUES: dict[object, object] = {
    "SPEC": shtab.FILE,
    "FILE": shtab.FILE,
    "DIR": shtab.DIRECTORY,
    "BATCH": shtab.cmd(BATCHES),
    "NAME": shtab.cmd(BATCHES),
}
"""What a shell completes, by the name of the argument in the help."""


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="orchestrator")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name, parents=[command_parser(name)], add_help=False, help=command.summary
        )
        for action in own._actions:  # noqa: SLF001 - shtab reads its own field of each action
            if action.metavar in VALUES:
                setattr(action, "complete", VALUES[action.metavar])  # noqa: B010 - no field of argparse
    print(shtab.complete(parser, shell=options.shell))
    return 0
