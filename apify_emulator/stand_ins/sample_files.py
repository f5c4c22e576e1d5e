"""What `add` reads: items, a schema and an output from files that a user has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from apify_emulator.errors import SetupError
from apify_emulator.json_files import parse_json, without_bom
from apify_emulator.stand_ins.stand_in_files import StandInRun, StoredValue

_ITEMS_HINT = "; expected one JSON object in each line, or a JSON array of objects"
_JSON = "application/json; charset=utf-8"
# The names that a folder can have instead of options.
_NAMES = {
    "items": ("items.jsonl", "items.json"),
    "schema": ("input_schema.json", "INPUT_SCHEMA.json"),
    "output": ("OUTPUT.json", "output.json"),
    "log": ("log.txt",),
}


def files_in(folder: Path) -> dict[str, Path]:
    """
    Returns the files of a folder by what they hold: items, schema, output, log.

    Raises:
        SetupError: there is no such folder, or it has none of these files.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder}: no such folder; name one that has {_known_names()}")
    found = {
        kind: folder / name
        for kind, names in _NAMES.items()
        for name in reversed(names)
        if (folder / name).is_file()
    }
    if not found:
        raise SetupError(f"{folder}: has no such file; name a folder that has {_known_names()}")
    return found


def _known_names() -> str:
    *names, last = (names[0] for names in _NAMES.values())
    return f"{', '.join(names)} or {last}"


def sample_run(files: dict[str, Path], facts: dict[str, Any]) -> StandInRun:
    """
    Returns the run that files describe.

    Raises:
        SetupError: a file cannot be used.
    """
    records = []
    if "output" in files:
        path = files["output"]
        is_json = path.suffix == ".json"
        body = without_bom(_bytes(path)) if is_json else _bytes(path)
        if is_json:
            _parsed(path, body)
        kind = _JSON if is_json else "text/plain; charset=utf-8"
        records.append(StoredValue(key="OUTPUT", content_type=kind, body=body))
    items = list(_items(files["items"])) if "items" in files else []
    log = _bytes(files["log"]) if "log" in files else b""
    return StandInRun(facts=facts, items=items, records=records, log=log)


def schema_of(path: Path) -> dict[str, Any]:
    """
    Returns an input schema.

    Raises:
        SetupError: the file cannot be used.
    """
    value = _parsed(path, _bytes(path))
    if not isinstance(value, dict):
        raise SetupError(f"{path}: is not a JSON object")
    return value


def _items(path: Path) -> Iterator[bytes]:
    """Yields the items of a JSON array or of JSON Lines."""
    content = without_bom(_bytes(path))
    if content.lstrip()[:1] == b"[":
        rows = _parsed(path, content)
        for number, row in enumerate(rows, 1):
            yield _item(path, f"item {number}", row)
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            value = _parsed(path, line, f"line {number}", hint=_ITEMS_HINT)
            yield _item(path, f"line {number}", value)


def _item(path: Path, place: str, value: Any) -> bytes:
    if not isinstance(value, dict):
        raise SetupError(f"{path}: {place} is not a JSON object")
    return orjson.dumps(value)


def _parsed(path: Path, content: bytes, place: str = "", *, hint: str = "") -> Any:
    try:
        return parse_json(content)
    except orjson.JSONDecodeError as problem:
        where = f" {place}" if place else ""
        raise SetupError(f"{path}:{where} is not valid JSON: {problem}{hint}") from problem


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SetupError(f"{path}: cannot be read: {problem.strerror}") from problem
