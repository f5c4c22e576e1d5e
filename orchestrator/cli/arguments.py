"""Options that several commands share, and the settings that they give."""

from __future__ import annotations

import argparse
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, timedelta

    from orchestrator.app.setup.settings import Settings
    from orchestrator.model.selection import Choice

DAY_LENGTH = len("2026-11-25")
SPEC_HELP = "a spec: TOML, YAML or JSON; - is standard input"


def add_output(parser: argparse.ArgumentParser) -> None:
    """`--output` and `--config`."""
    parser.add_argument(
        "--output", metavar="DIR", help="where batches are: a folder or s3://bucket/prefix (output)"
    )
    parser.add_argument("--config", metavar="FILE", type=given_path, help="a config file to read")


def add_driving(parser: argparse.ArgumentParser) -> None:
    """What every command takes that drives a batch."""
    add_output(parser)
    add_telling(parser)
    parser.add_argument("--max-runs", metavar="N", type=int, help="runs at once")
    parser.add_argument(
        "--on-signal",
        choices=["leave", "abort"],
        default="leave",
        help="what becomes of runs on the platform at the first SIGINT or SIGTERM (leave)",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """What commands take that work on some of the jobs of a spec."""
    add_select(parser, "only these jobs")
    parser.add_argument(
        "--exclude", metavar="S", type=selection_text, help="all but these jobs; the same grammar"
    )
    parser.add_argument("--limit", metavar="N", type=positive, help="only the first N of them")


def add_select(parser: argparse.ArgumentParser, meaning: str) -> None:
    """`--select`, with what it means for the command."""
    parser.add_argument(
        "--select",
        metavar="S",
        type=selection_text,
        help=f'{meaning}, such as "tag:eu name:shop-*"',
    )


def choice_of(options: argparse.Namespace) -> Choice:
    """Which jobs of a spec are wanted."""
    from orchestrator.model.selection import Choice

    return Choice(select=options.select, exclude=options.exclude, limit=options.limit)


def add_telling(parser: argparse.ArgumentParser) -> None:
    """How a command that works on a batch tells of it."""
    parser.add_argument("--log-format", choices=["auto", "text", "json"], help="of stderr (auto)")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_accept_changes(parser: argparse.ArgumentParser) -> None:
    """What commands take that go on with a batch."""
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="take the spec as it is now, instead of the batch's own copy",
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """
    The settings, with the flags of the command line over everything else.

    Warnings go to stderr from now on.

    Raises:
        ConfigError: with every problem.
    """
    from orchestrator.app.setup.settings import load_settings
    from orchestrator.event_log import configure_logs

    _check_working_folder()
    names = ("output", "max_runs", "log_format", "log_level")
    flags = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    settings = load_settings(config=options.config, flags=flags)
    configure_logs(level="warning", as_json=settings.log_format == "json")
    _warn_of_variables(as_json=settings.log_format == "json")
    return settings


def _check_working_folder() -> None:
    """Makes sure that there is a working folder whose path can be written down."""
    from orchestrator.errors import ConfigError

    try:
        str(Path.cwd()).encode()
    except FileNotFoundError as error:
        raise ConfigError("the working folder was deleted: change to another one") from error
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the path of the working folder, {str(Path.cwd())!r}, is not UTF-8 text: rename it, "
            "or change to another one"
        ) from error


@cache
def _warn_of_variables(*, as_json: bool) -> None:
    """Tells once of variables that look like settings and are none."""
    import json

    from orchestrator.app.setup.settings import unknown_variables

    for name in unknown_variables():
        sentence = f"the environment variable {name} is not a setting; it is ignored"
        event = {"event": "variable_ignored", "level": "warning", "variable": name}
        sys.stderr.write(f"{json.dumps(event) if as_json else 'warning: ' + sentence}\n")


def read_ahead() -> None:
    """
    Begins to import the HTTP library in a thread, for a command that will need it soon.

    It loads the certificates of the machine meanwhile, for which the interpreter is not needed.
    """
    # No daemon: a process that ends in the middle of an import waits for the end of the import. A
    # daemon is frozen with its locks held instead, and what is imported at the exit waits for ever.
    Thread(target=import_module, args=("aiohttp",)).start()


def selection_text(text: str) -> str:
    """
    A selection, for argparse.

    Raises:
        UsageError: it selects nothing that can be meant.
    """
    from orchestrator.model.selection import parse_selection

    parse_selection(text)
    return text


def given_path(text: str) -> Path:
    """
    A path, for argparse; an empty one, as an unset variable gives it, is not the working folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


def positive(text: str) -> int:
    """A number from 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {text!r}")
    return int(text)


def age(text: str) -> timedelta:
    """An age such as `24h` or `7d`, for argparse."""
    from datetime import timedelta

    from pydantic import TypeAdapter, ValidationError

    from orchestrator.specfile.field_types import Age

    try:
        return timedelta(seconds=TypeAdapter(Age).validate_python(text))
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"expected an age such as 24h or 7d (s, m, h, d, w), found {text!r}"
        ) from None


def one_day(text: str) -> date:
    """A day such as `2026-11-25`, for argparse."""
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day as 2026-11-25, found {text!r}") from None


def day_or_time(text: str) -> date:
    """A day, or a time such as `2026-11-25T02:15` or with an offset, for argparse."""
    from datetime import date, datetime

    try:
        return date.fromisoformat(text) if len(text) <= DAY_LENGTH else datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a day as 2026-11-25 or a time as 2026-11-25T02:15, found {text!r}"
        ) from None


def span_of_days(text: str) -> list[date]:
    """All days of `A..B`, for argparse."""
    from datetime import timedelta

    first, dots, last = text.partition("..")
    if not dots:
        raise argparse.ArgumentTypeError(f"expected two days as A..B, found {text!r}")
    begin, end = one_day(first), one_day(last)
    if end < begin:
        raise argparse.ArgumentTypeError(f"{last} is before {first}")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE` as a pair, for argparse."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value
