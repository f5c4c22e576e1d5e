"""
The commands and their arguments.

This module imports nothing heavy, so that `--help` and usage errors are fast.
"""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from apify_emulator.cli.stand_in_arguments import SubParsers, add_stand_in_commands

if TYPE_CHECKING:
    from apify_emulator.options import EmulatorOptions

_NUMBERS = ("port", "max_runs", "max_memory_mbytes", "sync_wait_secs")


def add_commands(parser: argparse.ArgumentParser, *, data_dir: Path) -> SubParsers:
    """
    Adds all commands but `exec`, and returns them.

    The parsed arguments have the name of the command as `command`.

    Args:
        data_dir: the data folder when `--data` is not given.
    """
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    serve = commands.add_parser(
        "serve",
        help="serve the Apify API on loopback until stopped",
        description="Serve the Apify API until a signal. The first line on stdout is a JSON object "
        "with url and token.",
    )
    build = commands.add_parser(
        "build",
        help="build the environments of Actors, so that later runs need no network",
        description="Build the environments of Actors, so that later runs need no network.",
    )
    _add_serve_options(serve)
    serve.add_argument(
        "--env", metavar="FILE", nargs="?", const="-", default=None,
        help="print the variables that Apify's tools and SDKs read, as shell commands; with FILE, "
        "add them to it as NAME=value",
    )  # fmt: skip
    for command in (serve, build):
        _add_folders(command, data_dir)
    add_stand_in_commands(commands, data_dir=data_dir)
    return commands


def add_exec(commands: SubParsers, *, data_dir: Path) -> None:
    """Adds `exec`, which only the command of the emulator itself has."""
    program = commands.add_parser(
        "exec",
        help="run a program with an emulator, whose address and token it gets in variables",
        usage="%(prog)s [options] [--] PROGRAM [ARGUMENT ...]",
        description="Run a program with an emulator. The program gets the variables that Apify's "
        "tools and SDKs read. Its exit code is that of the command.",
    )
    program.add_argument(
        "--fresh", action="store_true", help="begin with an empty account; keep nothing afterwards"
    )
    _add_account_options(program)
    _add_folders(program, data_dir)
    # The rest belongs to the program, also its options, with or without `--` before it.
    program.add_argument(
        "program", metavar="PROGRAM", nargs=argparse.REMAINDER, help=argparse.SUPPRESS
    )


def _add_folders(command: argparse.ArgumentParser, data_dir: Path) -> None:
    command.add_argument(
        "--actors", metavar="DIR", type=_path, action="append", default=[],
        help="a folder of Actors; can be given several times",
    )  # fmt: skip
    command.add_argument(
        "--data", metavar="DIR", type=_path, default=data_dir,
        help=f"the folder for storages, logs and runs ({data_dir})",
    )  # fmt: skip


def _add_serve_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port, metavar="N", help="port to listen on (a free one)")
    serve.add_argument("--token", metavar="T", help="the account's token (a random one)")
    _add_account_options(serve)


def _add_account_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--max-runs", type=_count, metavar="N", help="the account's limit of active runs (256)"
    )
    serve.add_argument(
        "--max-memory-mbytes", type=_count, metavar="N",
        help="the account's limit of memory of all active runs (65536)",
    )  # fmt: skip
    serve.add_argument(
        "--sync-wait-secs", type=_seconds, metavar="S",
        help="how long the run-sync endpoints wait for the run (300)",
    )  # fmt: skip
    serve.add_argument(
        "--faults", type=Path, metavar="FILE", help="a JSON file of faults, for tests"
    )


def options_of(
    arguments: argparse.Namespace, *, token: str | None, open_files: int | None
) -> EmulatorOptions:
    """
    Returns the options of the emulator that the arguments describe.

    Args:
        token: the account's token when `--token` is not given; None creates a random one.
        open_files: the soft limit of open files of processes; None passes on the emulator's.

    Raises:
        SetupError: the file of `--faults` or the token cannot be used.
    """
    from pydantic import SecretStr

    from apify_emulator.errors import SetupError
    from apify_emulator.faults import load_faults
    from apify_emulator.options import EmulatorOptions

    if arguments.command == "build":
        return EmulatorOptions(
            data_dir=arguments.data, actors_dirs=tuple(arguments.actors), open_files=open_files
        )
    # `exec` has no options of the address.
    given: str = getattr(arguments, "token", None) or token or ""
    given = given.rstrip("\r\n")
    if not all("!" <= letter <= "~" for letter in given):
        raise SetupError("a token has letters, digits and punctuation only, and no spaces")
    numbers = {name: getattr(arguments, name, None) for name in _NUMBERS}
    return EmulatorOptions(
        data_dir=arguments.data,
        actors_dirs=tuple(arguments.actors),
        host=getattr(arguments, "host", "127.0.0.1"),
        token=SecretStr(given) if given else None,
        faults=load_faults(arguments.faults) if arguments.faults else None,
        open_files=open_files,
        **{name: value for name, value in numbers.items() if value is not None},
    )


def _path(text: str) -> Path:
    """Returns a path; refuses an empty string, because an unset variable gives one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # `float` also reads `nan` and `inf`.
    if not 0 <= seconds < inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0, found {text!r}")
    return seconds


def _port(text: str) -> int:
    """Returns a port; 0 takes a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)
