"""
A spec's text to its model; every mistake at once, each with its place.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.errors import Mistake, SpecError
from orchestrator.spec.model import JobTable, Spec
from orchestrator.spec.positions import Path as FieldPath
from orchestrator.spec.positions import Positions
from orchestrator.spec.words import plain, unknown

LARGEST_BYTES = 64 * 1024 * 1024
NOT_YET: dict[str, frozenset[str]] = {
    "batch": frozenset({"max_cost_usd", "stop_after_failures", "deadline_secs"}),
    "jobs": frozenset({"rules", "expect", "needs", "reuse"}),
    "defaults": frozenset({"rules", "expect", "needs", "reuse"}),
    "matrix": frozenset({"zip", "rows", "include", "exclude", "sample"}),
    "collect": frozenset({"live"}),
}
"""
Fields of the format that this version does not act on; refused, since ignoring them would cost.
"""


@dataclass(frozen=True)
class LoadedSpec:
    """
    A spec that was read and found right.

    Attributes:
        source: the file's bytes.
    """

    path: Path
    source: bytes
    spec: Spec = field(repr=False)

    @cached_property
    def positions(self) -> Positions:
        """
        Where its fields stand.
        """
        return Positions(self.source.decode())

    def mistake(self, path: FieldPath, message: str) -> Mistake:
        """
        A mistake at a field.
        """
        return _mistake(self.path, self.positions, path, message)


def load_spec(path: Path) -> LoadedSpec:
    """
    Reads and checks a spec.

    Raises:
        SpecError: with every mistake that can be found without expanding it.
    """
    source = _read(path)
    data = _parse(path, source)
    numbers = list(_make_jsonable(data, ()))
    not_yet = list(_take_out_not_yet(data))
    spec, found = None, []
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        found = [(tuple(detail["loc"]), detail) for detail in error.errors(include_url=False)]
    mistakes = [*numbers, *not_yet, *_told(data, found)]
    if spec is not None and not mistakes:
        return LoadedSpec(path, source, spec)
    positions = Positions(source.decode())
    told = {_mistake(path, positions, place, message) for place, message in mistakes}
    raise SpecError(sorted(told, key=place_of))


def _read(path: Path) -> bytes:
    def refuse(message: str) -> SpecError:
        return SpecError([Mistake(file=str(path), message=message)])

    if path.suffix.lower() != ".toml":
        raise refuse(f"a spec is a .toml file, found {path.suffix or 'no ending'!r}")
    try:
        source = path.read_bytes()
    except FileNotFoundError as error:
        raise refuse("no such file") from error
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from error
    if len(source) > LARGEST_BYTES:
        raise refuse(f"is larger than {LARGEST_BYTES} bytes; keep data in files beside the spec")
    return source


def _parse(path: Path, source: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        mistake = Mistake(file=str(path), line=line, message="is no UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
        said = str(error)[: place.start()] if place else str(error)
        last_line = source.count(b"\n") + 1
        mistake = Mistake(
            file=str(path),
            line=int(place[1]) if place and place[1] else last_line,
            column=int(place[2]) if place and place[2] else None,
            message=f"is no valid TOML: {said[:1].lower()}{said[1:]}",
        )
    except (RecursionError, ValueError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        mistake = Mistake(file=str(path), message=f"is no valid TOML: {said}")
    raise SpecError([mistake])


def _make_jsonable(table: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """
    Turns TOML's times into ISO text, in place, and tells of numbers that JSON has no word for.
    """
    places: Iterable[tuple[str | int, Any]] = (
        table.items() if isinstance(table, dict) else enumerate(table)
    )
    for name, value in list(places):
        if isinstance(value, (dict, list)):
            yield from _make_jsonable(value, (*path, name))
        elif isinstance(value, (datetime, date, time)):
            table[name] = value.isoformat()
        elif isinstance(value, float) and not math.isfinite(value):
            yield (*path, name), f"{value} is no JSON number"


def _take_out_not_yet(data: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    """
    Removes fields that this version does not act on, and tells of each.
    """
    tables: list[tuple[str, FieldPath, Any]] = [
        ("batch", ("batch",), data.get("batch")),
        ("defaults", ("defaults",), data.get("defaults")),
    ]
    jobs = data.get("jobs")
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        tables.append(("jobs", ("jobs", index), job))
    for kind, path, table in tables:
        if not isinstance(table, dict):
            continue
        yield from _not_yet_in(kind, path, table)
        for inner in ("matrix", "collect"):
            if isinstance(table.get(inner), dict):
                yield from _not_yet_in(inner, (*path, inner), table[inner])


def _not_yet_in(
    kind: str, path: FieldPath, table: dict[str, Any]
) -> Iterator[tuple[FieldPath, str]]:
    for name in sorted(NOT_YET[kind] & table.keys()):
        del table[name]
        yield (*path, name), "this version does not support it yet; leave it out"


def _told(
    data: dict[str, Any], found: list[tuple[tuple[int | str, ...], Any]]
) -> Iterator[tuple[FieldPath, str]]:
    """
    Pydantic's findings as places in the text and sentences, one for each place.
    """
    seen: set[FieldPath] = set()
    for loc, detail in found:
        path = _path_in(data, loc)
        if path in seen:
            continue
        seen.add(path)
        if detail["type"] == "extra_forbidden":
            yield path, unknown(str(path[-1]), _fields_at(path[:-1]))
        else:
            yield path, _described(path, plain(detail))


def _path_in(data: Any, loc: tuple[int | str, ...]) -> FieldPath:
    """
    The part of pydantic's location that is in the text: without the names of union members.
    """
    path: FieldPath = ()
    for part in loc:
        if isinstance(data, (dict, list)) and _has(data, part):
            data = data[part]  # type: ignore[index] # of the kind that `_has` has checked
        elif part is loc[-1] and isinstance(data, dict) and isinstance(part, str):
            return (*path, part) if part.isidentifier() else path
        else:
            return path
        path = (*path, part)
    return path


def _has(data: dict[str, Any] | list[Any], part: int | str) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(part, int) and part < len(data)


def _described(path: FieldPath, sentence: str) -> str:
    last = path[-1] if path else ""
    if last == "name" and "pattern" in sentence:
        return (
            "must be 1 to 100 of A-Za-z0-9._=-, not starting with a dot, since it names a folder"
            + sentence[sentence.rindex(", found") :]
        )
    if len(path) >= 2 and path[-2] == "matrix" and "expected" in sentence:
        found = sentence[sentence.rindex(", found") :] if ", found" in sentence else ""
        return f"expected a list of values or {{ range = [first, last] }}{found}"
    if last == "input" and "expected" in sentence:
        return "expected a table" + sentence[sentence.rindex(", found") :]
    return sentence


def _fields_at(path: FieldPath) -> list[str]:
    """
    The fields that the table at a path may have.
    """
    model: Any = Spec
    for part in path:
        if isinstance(part, int):
            continue
        if part == "jobs":
            model = JobTable
            continue
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        model = next((member for member in _models_in(annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in getattr(annotation, "__args__", ()):
        yield from _models_in(member)


def _mistake(path: Path, positions: Positions, place: FieldPath, message: str) -> Mistake:
    line, column = positions.find(place)
    return Mistake(
        file=str(path), line=line, column=column, field=shown_path(place), message=message
    )


def place_of(mistake: Mistake) -> tuple[int, int, str]:
    """
    What mistakes are sorted by: their place in the text.
    """
    return mistake.line or 0, mistake.column or 0, mistake.field


def shown_path(path: FieldPath) -> str:
    """
    A field's path as messages show it, such as `jobs[2].matrix.pages`; jobs count from 0.
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
