"""`exec`: runs a program with an emulator, and passes signals on to it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
from anyio.abc import Process

from apify_emulator.cli.commands import report
from apify_emulator.errors import SetupError
from apify_emulator.options import EmulatorOptions
from apify_emulator.processes.open_file_limit import under_limit
from apify_emulator.server.address import read_address
from apify_emulator.server.emulator import serve_emulator
from apify_emulator.testing.handle import EmulatorHandle

_NOT_FOUND, _NOT_STARTED = 127, 126
# The options of `exec` for an emulator that it starts.
_OF_A_START = {
    "actors_dirs": "--actors",
    "max_runs": "--max-runs",
    "max_memory_mbytes": "--max-memory-mbytes",
    "sync_wait_secs": "--sync-wait-secs",
    "faults": "--faults",
}


async def run_program(options: EmulatorOptions, words: Sequence[str], *, is_fresh: bool) -> int:
    """
    Runs a program to its end and returns its exit code, as a shell shows it.

    An emulator that already uses the data folder is used, unless `is_fresh`.

    Args:
        words: the program with its arguments; a `--` before it is skipped.

    Raises:
        SetupError: there is no program.
        EmulatorError: see `serve_emulator`.
    """
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        raise SetupError("exec needs a program: apify-emulator exec -- npm test")
    found = None if is_fresh else read_address(options.data_dir)
    if found is not None:
        _warn_of_options(options)
        handle = EmulatorHandle(found[0], found[1].get_secret_value())
        variables = await anyio.to_thread.run_sync(lambda: handle.variables)
        return await _run(words, variables, options.open_files)
    with tempfile.TemporaryDirectory(prefix="apify-emulator-") as empty:
        if is_fresh:
            # Only the storages are new: stand-ins that were added stay.
            options = replace(options, data_dir=Path(empty), actors_dirs=options.all_actors_dirs)
        async with serve_emulator(replace(options, report=report)) as emulator:
            return await _run(words, emulator.variables, options.open_files)


def _warn_of_options(options: EmulatorOptions) -> None:
    usual = EmulatorOptions(data_dir=options.data_dir)
    given = [
        option
        for name, option in _OF_A_START.items()
        if getattr(options, name) != getattr(usual, name)
    ]
    if given:
        report(
            f"warning: {', '.join(given)} without effect: another process serves "
            f"{options.data_dir}, and the program uses that emulator; stop it, or use --fresh"
        )


async def _run(words: Sequence[str], variables: dict[str, str], open_files: int | None) -> int:
    # Before the program starts: a signal that came in between would end only this process.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        try:
            process = await anyio.open_process(
                under_limit(list(words), open_files),
                stdin=None,
                stdout=None,
                stderr=None,
                env={**os.environ, **variables},
            )
        except FileNotFoundError:
            print(f"apify-emulator: {words[0]}: command not found", file=sys.stderr)
            return _NOT_FOUND
        except OSError as problem:
            print(f"apify-emulator: {words[0]}: {problem.strerror}", file=sys.stderr)
            return _NOT_STARTED
        async with anyio.create_task_group() as group:
            group.start_soon(_pass_on, signals, process, name="signals")
            code = await process.wait()
            group.cancel_scope.cancel()
    return code if code >= 0 else 128 - code


async def _pass_on(signals: AsyncIterator[signal.Signals], process: Process) -> None:
    async for number in signals:
        # A terminal sends Ctrl-C to the program too.
        if number == signal.SIGINT and sys.stdin.isatty():
            continue
        try:
            process.send_signal(number)
        except ProcessLookupError:
            return
