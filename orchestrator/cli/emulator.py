"""
The commands of the emulator: `orchestrator platform`.

The emulator is its own package, `apify_emulator`. It is large, so it is imported when it runs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from apify_emulator.cli.arguments import add_commands, options_of

TOKEN_VARIABLE = "ORCHESTRATOR_PLATFORM_TOKEN"  # noqa: S105 - the name of a variable


def add_emulator_commands(parser: argparse.ArgumentParser) -> None:
    """All commands of the emulator but `exec`, with their options."""
    add_commands(parser, data_dir=Path("output/.platform"))


async def run_emulator_command(arguments: argparse.Namespace) -> None:
    """
    Runs `serve` until a signal, or another command of the emulator to its end.

    Raises:
        ConfigError: an Actor, a task, a fault file or the data folder cannot be used.
        UsageError: the address cannot be used.
        BatchHeld: another process uses the data folder.
    """
    import anyio

    from apify_emulator.cli.commands import add, build, record, serve
    from orchestrator.app.setup.local_platform import emulator_errors
    from orchestrator.app.setup.signals import listening
    from orchestrator.descriptors import original_limit

    with emulator_errors():
        if arguments.command == "add":
            add(arguments)
            return
        if arguments.command == "record":
            await record(arguments)
            return
        # Other users of the machine can read a token on the command line, but not a variable.
        token = os.environ.get(TOKEN_VARIABLE)
        options = options_of(arguments, token=token, open_files=original_limit())
        if arguments.command == "build":
            await build(options)
            return
        stop = anyio.Event()
        with listening(lambda _: stop.set()):
            await serve(options, stop, variables_to=arguments.env)
