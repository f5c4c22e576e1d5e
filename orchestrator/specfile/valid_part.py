"""
The part of a spec's data that is valid, and the mistakes of its fields.

A value with a mistake is replaced, so that the rest of the spec can be checked in the same call:
the user then sees all mistakes at once. A spec that was repaired so is never run.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.specfile.diagnostics import nearest, plain, show, unknown
from orchestrator.specfile.model import BatchTable, CollectTable, JobTable, PoolTable, Spec
from orchestrator.specfile.sweep.matrix import MatrixTable, values_fields
from orchestrator.specfile.templates.trees import value_at
from orchestrator.specfile.text.positions import Path as FieldPath

Found = list[tuple[FieldPath, str]]
MOST_ROUNDS = 20
"""How often a repaired spec is checked again: one mistake may hide another."""
UNNAMED = "unnamed"
REPLACEMENTS: dict[str, Any] = {
    "actor": UNNAMED,
    "task": UNNAMED,
    "input": {},
    "input_file": UNNAMED,
    "needs": [],
}
"""Values for fields whose absence would cause further messages."""


def valid_part(data: dict[str, Any]) -> tuple[Spec, Found]:
    """
    The spec, and the mistakes of its fields; repairs the data in place if there are any.

    A mistake without words is only a place that was repaired.
    """
    found: Found = []
    renamed: dict[FieldPath, FieldPath] = {}
    for _ in range(MOST_ROUNDS):
        try:
            return Spec.model_validate(data), found
        except ValidationError as error:
            details = error.errors(include_url=False)
        earlier = {place for place, _ in found}
        for path, message in _shown_errors(data, details):
            shown = _as_written(path, renamed)
            if not is_under(shown, earlier):
                found.append((shown, message))
            if shown != path:
                found.append((path, ""))
        places = [(_path_in(data, detail["loc"]), detail["type"]) for detail in details]
        # Misspelt names first: the right one may be missing only for that.
        for path, kind in sorted(places, key=lambda place: place[1] != "extra_forbidden"):
            # Another repair may have replaced the table around it.
            with suppress(LookupError, TypeError, AttributeError):
                _repair(data, path, kind, renamed)
    return Spec.model_validate({"batch": {"name": UNNAMED}, "jobs": [_job(0)]}), found


def is_under(path: FieldPath, places: Container[FieldPath]) -> bool:
    """Whether a place is one of some places, or inside one."""
    return any(path[:length] in places for length in range(len(path) + 1))


def _as_written(path: FieldPath, renamed: dict[FieldPath, FieldPath]) -> FieldPath:
    for length in range(len(path) + 1):
        wrong = renamed.get(path[:length])
        if wrong is not None:
            return (*wrong, *path[length:])
    return path


def _job(index: int) -> dict[str, Any]:
    return {"name": f"{UNNAMED}-{index}", "actor": UNNAMED}


def _repair(
    data: dict[str, Any], path: FieldPath, kind: str, renamed: dict[FieldPath, FieldPath]
) -> None:
    """Replaces, renames or removes what has a mistake."""
    match path:
        case ("batch",):
            data["batch"] = {"name": UNNAMED}
        case ("jobs",):
            data["jobs"] = [_job(0)]
        case ("jobs", int(index)):
            data["jobs"][index] = _job(index)
        case ("pools", name):
            data["pools"][name] = {}
        case ("batch", "name") | ("jobs", int(), "name"):
            table = value_at(data, path[:-1])
            if kind != "missing" or "name" not in table:
                table["name"] = UNNAMED if path[0] == "batch" else _job(int(path[1]))["name"]
        case ("jobs", int(), "matrix", str(name), *_):
            matrix = value_at(data, path[:3])
            matrix.pop(name)
            if name not in MatrixTable.model_fields:
                matrix[name] = [UNNAMED]
        case _ if kind == "extra_forbidden":
            _rename(value_at(data, path[:-1]), path, renamed)
        case _:
            _remove(data, path[:-1] if kind == "missing" else path)


def _rename(table: dict[str, Any], path: FieldPath, renamed: dict[FieldPath, FieldPath]) -> None:
    value = table.pop(str(path[-1]))
    right = nearest(str(path[-1]), _fields_at(path[:-1]))
    if right is not None and right not in table:
        table[right] = value
        renamed[*path[:-1], right] = path


def _remove(data: dict[str, Any], path: FieldPath) -> None:
    # An element goes with its whole list, because others would change their places.
    while isinstance(path[-1], int):
        path = path[:-1]
    table, name = value_at(data, path[:-1]), path[-1]
    if name in REPLACEMENTS and name in table:
        table[name] = REPLACEMENTS[name]
    else:
        table.pop(name)


def _shown_errors(
    data: dict[str, Any], details: list[ErrorDetails]
) -> Iterator[tuple[FieldPath, str]]:
    """
    Turns errors of pydantic into places in the text and sentences.

    A missing field with a misspelt name is reported once, under the misspelt name.
    """
    places = [(_path_in(data, detail["loc"]), detail) for detail in details]
    meant = {
        (*path[:-1], nearest(str(path[-1]), _fields_at(path[:-1])))
        for path, detail in places
        if detail["type"] == "extra_forbidden"
    }
    for path, detail in places:
        if detail["type"] == "extra_forbidden":
            known = _fields_at(path[:-1])
            yield path, unknown(str(path[-1]), known, homes=_homes(frozenset(known)))
        elif detail["type"] != "missing" or path not in meant:
            yield path, _sentence(path, detail)


def _sentence(path: FieldPath, detail: ErrorDetails) -> str:
    if detail["type"] == "string_pattern_mismatch":
        return (
            "must be 1 to 100 of A-Za-z0-9._=-, not starting with a dot, because it "
            f"names a folder, found {show(detail['input'])}"
        )
    if path == ("jobs",) and detail["type"] in ("missing", "too_short"):
        return "is missing: a spec has at least one [[jobs]]"
    if path == ("jobs",) and isinstance(detail["input"], dict):
        return "expected a list of jobs, in TOML [[jobs]] in double brackets, found a table"
    return plain(detail)


def _path_in(data: Any, loc: tuple[int | str, ...]) -> FieldPath:
    """
    The part of pydantic's location that is in the text: without the names of union members.

    If the last name is not in the text, the field is missing.
    """
    path: FieldPath = ()
    for index, part in enumerate(loc):
        if _has(data, part):
            data = data[part]
            path = (*path, part)
        elif index == len(loc) - 1 and isinstance(data, dict) and str(part).isidentifier():
            path = (*path, part)
    return path


def _has(data: Any, part: int | str) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _fields_at(path: FieldPath) -> list[str]:
    """The fields that the table at a path may have."""
    model: Any = Spec
    for part in path:
        # An index selects an element of a list, which has the same fields as every other.
        if isinstance(part, int):
            continue
        if model is MatrixTable and part not in model.model_fields:
            return values_fields()
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        models = list(_models_in(annotation)) or [model]
        if path[-1] == part == "rows":
            # Those of a file, or those of items.
            return [name for one in models for name in _names_of(one)]
        model = models[0]
    return _names_of(model)


def _names_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in getattr(annotation, "__args__", ()):
        yield from _models_in(member)


@cache
def _homes(here: frozenset[str]) -> dict[str, str]:
    """The tables that a misplaced name may belong to; those of pools are too many."""
    tables: dict[str, type[BaseModel]] = {
        "[jobs.collect]": CollectTable,
        "[[jobs]]": JobTable,
        "[batch]": BatchTable,
    }
    return {
        name: home
        for home, table in tables.items()
        for name in table.model_fields
        if not set(table.model_fields) <= here and here != set(PoolTable.model_fields)
    }
