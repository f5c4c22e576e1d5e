"""How a stand-in is written: its `actor.json`, its input schema and its recordings."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.actors.actor_files import SIMULATED, owned_name, read_actor
from apify_emulator.errors import SetupError
from apify_emulator.json_files import parse_json
from apify_emulator.runs.recording import FACTS, FOLDER, ITEMS, LOG, load_recording

# The recording of `add`, which is for every input that has no recording of its own.
ANY_INPUT = "any-input"
_STORE = re.compile(r"https?://(www\.|console\.)?apify\.com/(store/)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[/~][A-Za-z0-9][A-Za-z0-9._-]*")
_RECORDING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """A record of the key-value store with its value."""

    key: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInRun:
    """
    What a run of a stand-in gives.

    Attributes:
        name: of the folder of the recording.
        facts: what `recording.json` says, without the records.
        items: each one as JSON without a line break.
    """

    name: str = ANY_INPUT
    facts: dict[str, Any] = field(default_factory=dict)
    items: Iterable[bytes] = ()
    records: Iterable[StoredValue] = ()
    log: bytes = b""


def write_stand_in(
    actors_dir: Path,
    full_name: str,
    run: StandInRun,
    *,
    schema: dict[str, Any] | None = None,
    definition: dict[str, Any] | None = None,
) -> Path:
    """
    Writes a stand-in, or another recording of one that exists, and returns its folder.

    Args:
        schema: the input schema; None keeps the present one.
        definition: further fields of `actor.json`.

    Raises:
        SetupError: a name, the schema or a fact is not valid, or the files cannot be written.
            Nothing has changed then.
    """
    full_name = check_name(full_name)
    # It may be the id that a server gave, and it becomes a folder that replaces another one.
    if not _RECORDING.fullmatch(run.name):
        raise SetupError(f"{run.name!r} cannot be the name of a recording")
    folder = _folder_of(full_name, actors_dir)
    try:
        path = folder / ".actor" / "actor.json"
        known = parse_json(path.read_bytes()) if path.is_file() else {}
        if known and not known.get("standIn"):
            raise SetupError(f"{folder}: is an Actor, not a stand-in; choose another folder")
        # An emulator that runs knows it by this name.
        first = str(known.get("name"))
        described = {
            "actorSpecification": 1,
            "version": "0.0",
            **known,
            **(definition or {}),
            "name": first if first.lower() == full_name.lower() else full_name,
            "standIn": True,
        }
        _check_actor(folder, described, schema)
        _write_recording(folder / FOLDER / run.name, run)
        (folder / ".actor").mkdir(parents=True, exist_ok=True)
        if schema is not None:
            _write(folder / ".actor" / "input_schema.json", orjson.dumps(schema, option=_PRETTY))
        # Last, because it makes the folder an Actor.
        _write(path, orjson.dumps(described, option=_PRETTY))
    except (OSError, ValueError) as problem:
        raise SetupError(f"{folder}: the stand-in cannot be written: {problem}") from problem
    return folder


def _folder_of(full_name: str, actors_dir: Path) -> Path:
    """
    The folder of a stand-in; names that differ only in case are one for the API.

    Raises:
        SetupError: the name is that of the Actor that is built in.
    """
    if full_name.lower() == SIMULATED:
        raise SetupError(f"{full_name} is built in: its input says what a run does")
    name = full_name.replace("/", "~")
    known = actors_dir.iterdir() if actors_dir.is_dir() else ()
    return next((one for one in known if one.name.lower() == name.lower()), actors_dir / name)


def _check_actor(folder: Path, described: dict[str, Any], schema: object) -> None:
    """Raises SetupError if the Actor could not be read once it is written."""
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name)
        (draft / ".actor").mkdir()
        (draft / ".actor" / "actor.json").write_bytes(orjson.dumps(described))
        if schema is not None:
            (draft / ".actor" / "input_schema.json").write_bytes(orjson.dumps(schema))
        try:
            read_actor(draft)
        except SetupError as problem:
            raise SetupError(str(problem).replace(name, str(folder))) from problem


def check_name(full_name: str) -> str:
    """
    Returns `username/name`, also of an address in Apify Store.

    Raises:
        SetupError: it is not of this form.
    """
    full_name = _STORE.sub("", full_name).partition("?")[0].rstrip("/")
    if not _NAME.fullmatch(full_name):
        raise SetupError(f'expected an Actor like "apify/instagram-scraper", found {full_name!r}')
    return owned_name(full_name.replace("~", "/"))


def _write_recording(folder: Path, run: StandInRun) -> None:
    fresh = folder.with_name(f".{secrets.token_hex(8)}")
    fresh.mkdir(parents=True)
    try:
        with (fresh / ITEMS).open("wb") as out:
            out.writelines(item + b"\n" for item in run.items)
        records = []
        for number, value in enumerate(run.records, 1):
            # The key comes from outside, so it is not a part of a file name.
            name = f"record-{number}"
            (fresh / name).write_bytes(value.body)
            records.append({"key": value.key, "contentType": value.content_type, "file": name})
        if run.log:
            (fresh / LOG).write_bytes(run.log)
        facts = {**run.facts, "records": records}
        (fresh / FACTS).write_bytes(orjson.dumps(facts, option=_PRETTY))
        try:
            load_recording(fresh)
        except SetupError as problem:
            raise SetupError(str(problem).replace(str(fresh), str(folder))) from problem
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{secrets.token_hex(8)}")
    fresh.write_bytes(content)
    fresh.replace(path)
