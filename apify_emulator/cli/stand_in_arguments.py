"""The arguments of `add` and `record`. This module imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from apify_emulator.errors import SetupError
from apify_emulator.stand_ins.durations import seconds_of

# A structure of argparse itself, which its stubs declare as private.
SubParsers = Any


def add_stand_in_commands(commands: SubParsers, *, data_dir: Path) -> None:
    """Adds `add` and `record`."""
    add = commands.add_parser(
        "add",
        help="add a stand-in for an Actor: its items, schema, duration and cost",
        description="Add a stand-in for an Actor, for example one of Apify Store. Its runs give "
        "the items and the output of your files, and accept the inputs of the schema.",
    )
    add.add_argument("actor", metavar="ACTOR", help="the name, such as apify/instagram-scraper")
    add.add_argument(
        "folder", metavar="FOLDER", type=Path, nargs="?",
        help="a folder with items.jsonl, input_schema.json, OUTPUT.json or log.txt",
    )  # fmt: skip
    for name, what in (
        ("items", "the items, as JSON Lines or a JSON array"),
        ("schema", "the input schema"),
        ("output", "the OUTPUT record"),
        ("log", "the log"),
    ):
        add.add_argument(f"--{name}", metavar="FILE", type=Path, help=what)
    add.add_argument("--duration", type=_duration, metavar="T", help="how long a run takes (0.05s)")
    add.add_argument("--cost", type=_usd, metavar="USD", help="what a run costs")
    add.add_argument(
        "--status", choices=("SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"),
        help="how a run ends (SUCCEEDED)",
    )  # fmt: skip
    _add_target(add, data_dir)
    record = commands.add_parser(
        "record",
        help="read real runs from Apify once, and play them from then on",
        description="Read runs of your Apify account, with their inputs, items, records, logs, "
        "times and costs. From then on their Actors play them, recognised by their inputs. The "
        "variable APIFY_TOKEN has the token. Nothing on Apify is changed.",
    )
    record.add_argument("runs", metavar="RUN_ID", nargs="+", help="a run that has ended")
    record.add_argument(
        "--duration", type=_duration, metavar="T", help="how long a played run takes (as it took)"
    )
    record.add_argument(
        "--api-url", metavar="URL",
        help="the API to read from (the variable APIFY_API_BASE_URL, else https://api.apify.com)",
    )  # fmt: skip
    _add_target(record, data_dir)


def _add_target(parser: argparse.ArgumentParser, data_dir: Path) -> None:
    parser.add_argument(
        "--actors", metavar="DIR", type=Path,
        help="write to this folder of Actors, to keep it with your code (DATA/actors)",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DIR", type=Path, default=data_dir,
        help=f"the data folder of the emulator ({data_dir})",
    )  # fmt: skip


def target_of(arguments: argparse.Namespace) -> Path:
    """Returns the folder of Actors to write to."""
    actors: Path | None = arguments.actors
    if actors is not None:
        return actors
    data: Path = arguments.data
    return data / "actors"


def sample_files(arguments: argparse.Namespace) -> dict[str, Path]:
    """
    Returns the files of `add` by what they hold; an option wins over the folder.

    Raises:
        SetupError: there is none, or the folder has none.
    """
    from apify_emulator.stand_ins.sample_files import files_in

    files = {} if arguments.folder is None else files_in(arguments.folder)
    for kind in ("items", "schema", "output", "log"):
        chosen = getattr(arguments, kind)
        if chosen is not None:
            files[kind] = chosen
    if not files:
        raise SetupError("add needs a folder, or at least one of --items, --schema and --output")
    return files


def facts_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what `recording.json` says of the run that `add` describes."""
    facts = {
        "durationSecs": arguments.duration,
        "costUsd": arguments.cost,
        "status": arguments.status,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _duration(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _usd(text: str) -> float:
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"expected an amount like 0.02, found {text!r}")
    return value
