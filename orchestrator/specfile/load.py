"""Reads a spec's file into its model; reports all mistakes, each with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import Mistake, SpecError
from orchestrator.specfile.diagnostics import nearest, plain, unknown
from orchestrator.specfile.model import BatchTable, CollectTable, JobTable, PoolTable, Spec
from orchestrator.specfile.sweep.matrix import MatrixTable, values_fields
from orchestrator.specfile.text.includes import Documents, read_documents
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.syntax import make_jsonable
from orchestrator.specfile.unsupported_fields import take_out_of_scope

Found = Iterable[tuple[FieldPath, str]]


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that was read, without mistakes."""

    path: Path
    documents: Documents = field(repr=False)
    spec: Spec = field(repr=False)

    @property
    def source(self) -> bytes:
        """The bytes of its file."""
        return self.documents.files[-1].source

    @property
    def ending(self) -> str:
        """The ending of a file with its text, such as `.toml`."""
        return self.path.suffix or f".{self.documents.files[-1].language}"

    @property
    def sha256(self) -> str:
        """The digest of all its files, hex."""
        digest = hashlib.sha256()
        for document in reversed(self.documents.files):
            digest.update(document.source)
        return digest.hexdigest()

    def folder(self, path: FieldPath) -> Path:
        """The folder that file names in a field are relative to."""
        document, _ = self.documents.home(path)
        return document.path.parent

    def mistake(self, path: FieldPath, message: str) -> Mistake:
        """A mistake at a field."""
        return self.documents.mistake(path, message)


def load_spec(path: Path) -> LoadedSpec:
    """
    Reads and checks a spec; `-` is standard input.

    Raises:
        SpecError: with all mistakes that show before expansion.
    """
    documents = read_documents(path)
    data = documents.data
    found: list[tuple[FieldPath, str]] = [*make_jsonable(data), *take_out_of_scope(data)]
    spec = None
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        found += _told(data, error.errors(include_url=False))
    if spec is not None and not found:
        return LoadedSpec(path, documents, spec)
    first_ones: dict[FieldPath, str] = {}
    for place, message in found:
        # One sentence for each place: a further one would mostly follow from the first.
        first_ones.setdefault(place, message)
    mistakes = [documents.mistake(place, message) for place, message in first_ones.items()]
    raise SpecError(sorted(mistakes, key=place_of))


def place_of(mistake: Mistake) -> tuple[str, int, int, str]:
    """The sort key of a mistake: its file and its place."""
    return mistake.file, mistake.line or 0, mistake.column or 0, mistake.field


def _told(data: dict[str, Any], details: list[ErrorDetails]) -> Iterator[tuple[FieldPath, str]]:
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
            f'names a folder, found "{detail["input"]}"'
        )
    if path == ("jobs",) and detail["type"] in ("missing", "too_short"):
        return "is missing: a spec has at least one [[jobs]]"
    if path == ("jobs",) and isinstance(detail["input"], dict):
        return "expected [[jobs]] in double brackets, found a table"
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
        model = next(_models_in(annotation), model)
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
