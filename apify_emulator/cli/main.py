"""The `apify-emulator` command: its parser, its signals and its exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from apify_emulator.cli.arguments import add_commands, add_exec
from apify_emulator.errors import DISK_FULL, EmulatorError, is_disk_full

if TYPE_CHECKING:
    from apify_emulator.options import EmulatorOptions

DATA_DIR = Path(".apify-emulator")
TOKEN_VARIABLE = "APIFY_EMULATOR_TOKEN"  # noqa: S105 - the name of a variable
BUG = 70
EPILOG = f"""\
environment:
  {TOKEN_VARIABLE}  the account's token when --token is not given; unlike an argument,
                        other users of the machine cannot read it

exit codes:
  0         it served until a signal, or did everything
  2         a usage error; or an Actor, a task, a file, a real run, the address or the data
            folder cannot be used
  4         another process uses the data folder
  126, 127  the program of `exec` cannot be started, or is not found; else `exec` ends with the
            exit code of the program
  70        a bug in the emulator; the traceback is on stderr
  129, 130, 143  SIGHUP, SIGINT or SIGTERM interrupted the command, or a second one the shutdown
"""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(words: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    sys.exit(_exit_code(make_parser().parse_args(words)))


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="apify-emulator",
        description="Serve the Apify API on this machine. Actors run as processes, or simulated.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version of the package, and exit"
    )
    add_exec(add_commands(parser, data_dir=DATA_DIR), data_dir=DATA_DIR)
    return parser


class _Version(argparse.Action):
    """Prints the version; what finds it is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"{parser.prog} {version('apify-batch')}")
        parser.exit()


def _exit_code(arguments: argparse.Namespace) -> int:
    """Runs a command; returns the exit code, also of errors."""
    import anyio

    code = BUG
    try:
        code = anyio.run(_run, arguments, backend_options={"use_uvloop": sys.platform != "win32"})
    except* EmulatorError as group:
        error = _first(group)
        print(f"apify-emulator: {error}", file=sys.stderr)
        code = error.exit_code if isinstance(error, EmulatorError) else BUG
    # A signal before the event loop handles signals.
    except* KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except* Exception as group:  # noqa: BLE001 - the last place that can say what happened
        if group.split(is_disk_full)[1] is None:
            print(f"apify-emulator: {DISK_FULL}", file=sys.stderr)
            code = EmulatorError.exit_code
        else:
            traceback.print_exc()
            code = BUG
    return code


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(arguments: argparse.Namespace) -> int:
    from apify_emulator.cli.arguments import options_of
    from apify_emulator.processes.open_file_limit import raise_limit

    if arguments.command in ("add", "record"):
        return await _interruptible(_stand_in_command(arguments))
    limit = raise_limit()
    options = options_of(arguments, token=os.environ.get(TOKEN_VARIABLE), open_files=limit)
    if arguments.command == "serve":
        return await _serve(options, arguments.env)
    if arguments.command == "exec":
        from apify_emulator.cli.program import run_program

        return await run_program(options, arguments.program, is_fresh=arguments.fresh)
    return await _interruptible(_build(options))


async def _serve(options: EmulatorOptions, variables_to: str | None) -> int:
    import anyio

    from apify_emulator.cli.commands import serve

    stop = anyio.Event()
    async with _signals_handled(lambda _: stop.set()):
        await serve(options, stop, variables_to=variables_to)
    return 0


async def _build(options: EmulatorOptions) -> None:
    from apify_emulator.cli.commands import build

    await build(options)


async def _stand_in_command(arguments: argparse.Namespace) -> None:
    from apify_emulator.cli.commands import add, record

    if arguments.command == "add":
        add(arguments)
    else:
        await record(arguments)


async def _interruptible(work: Coroutine[None, None, None]) -> int:
    """Runs a command until it ends or a signal interrupts it; returns the exit code."""
    import anyio

    code = 0

    def interrupt(number: int) -> None:
        nonlocal code
        code = 128 + number
        scope.cancel()

    with anyio.CancelScope() as scope:
        async with _signals_handled(interrupt):
            await work
    return code


@asynccontextmanager
async def _signals_handled(handle: Callable[[int], None]) -> AsyncIterator[None]:
    """Calls `handle` at the first signal; the second one ends the process at once."""
    import anyio

    # A signal that was ignored at the start (`nohup`) stays ignored.
    handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    with anyio.open_signal_receiver(*handled) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_handle_signals, signals, handle, name="signals")
            yield
            group.cancel_scope.cancel()


async def _handle_signals(
    signals: AsyncIterator[signal.Signals], handle: Callable[[int], None]
) -> None:
    is_stopping = False
    async for number in signals:
        if is_stopping:
            os._exit(128 + number)
        is_stopping = True
        handle(number)
