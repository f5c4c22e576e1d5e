"""
The only module that imports the emulator: runs it, and turns its errors into ours.

The emulator is its own package, `apify_emulator`. It is large, so it is imported when it runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from apify_emulator.cli.arguments import add_commands, options_of
from apify_emulator.errors import AddressUnavailable, DataFolderInUse, EmulatorError

if TYPE_CHECKING:
    from orchestrator.app.setup.context import Endpoint
    from orchestrator.model.batches import LocalPlatformPlan

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
    from orchestrator.app.setup.signals import listening
    from orchestrator.descriptors import original_limit

    with _our_errors():
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


@asynccontextmanager
async def local_platform(
    plan: LocalPlatformPlan, *, share: bool, report: Callable[[str], None] | None = None
) -> AsyncIterator[Endpoint]:
    """
    Serves the local platform of a batch while the context is open.

    Args:
        share: whether to use the platform of another process, which may end.
        report: gets a line when the build of an Actor's environment begins and ends.

    Raises:
        ConfigError, UsageError, BatchHeld: as `run_emulator_command`.
    """
    from apify_emulator import EmulatorOptions, read_address, serve_emulator
    from orchestrator.app.setup.context import Endpoint
    from orchestrator.descriptors import original_limit

    # Two platforms cannot use one data folder, so `logs` asks the one that serves the runs.
    found = read_address(Path(plan.data_dir)) if share else None
    if found is not None:
        yield Endpoint(base_url=found[0], token=found[1])
        return
    options = EmulatorOptions(
        data_dir=Path(plan.data_dir),
        actors_dirs=tuple(map(Path, plan.actors_dirs)),
        open_files=original_limit(),
        report=report,
    )
    with _our_errors():
        async with serve_emulator(options) as emulator:
            yield Endpoint(base_url=emulator.url, token=emulator.token, is_local=True)


@contextmanager
def _our_errors() -> Iterator[None]:
    from orchestrator.errors import BatchHeld, ConfigError, UsageError

    try:
        yield
    except DataFolderInUse as error:
        raise BatchHeld(str(error)) from error
    except AddressUnavailable as error:
        raise UsageError(str(error)) from error
    except EmulatorError as error:
        raise ConfigError(str(error)) from error
