"""
Options that several commands share, and the settings that they give.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.app.settings import Settings

SPEC_HELP = "a spec: TOML, YAML or JSON; - is standard input"


def add_output(parser: argparse.ArgumentParser) -> None:
    """
    `--output` and `--config`.
    """
    parser.add_argument("--output", metavar="DIR", help="where batches are (output)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a config file to read")


def add_driving(parser: argparse.ArgumentParser) -> None:
    """
    What every command takes that drives a batch.
    """
    add_output(parser)
    add_telling(parser)
    parser.add_argument("--max-runs", metavar="N", type=int, help="runs at once")
    parser.add_argument(
        "--on-signal",
        choices=["leave", "abort"],
        default="leave",
        help="what becomes of runs on the platform at the first SIGINT or SIGTERM (leave)",
    )


def add_telling(parser: argparse.ArgumentParser) -> None:
    """
    How a command that works on a batch tells of it.
    """
    parser.add_argument("--log-format", choices=["auto", "text", "json"], help="of stderr (auto)")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_accept_changes(parser: argparse.ArgumentParser) -> None:
    """
    What commands take that go on with a batch.
    """
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="go on although the spec has changed, in line with it as it is now",
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """
    The settings, with the flags of the command line over everything else.

    Raises:
        ConfigError: with every problem.
    """
    from orchestrator.app.settings import load_settings

    names = ("output", "max_runs", "log_format", "log_level")
    flags = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    return load_settings(config=options.config, flags=flags)


def read_ahead() -> None:
    """
    Begins to read the HTTP library in a thread, for a command that will want it soon.

    It loads the certificates of the machine meanwhile, for which the interpreter is not needed.
    """
    Thread(target=import_module, args=("aiohttp",), daemon=True).start()


def pair(text: str) -> tuple[str, str]:
    """
    `NAME=VALUE` as a pair, for argparse.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value
