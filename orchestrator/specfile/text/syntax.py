"""Reads a spec's file as plain data: TOML, YAML or JSON, with values that JSON can express."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.diagnostics import plain_toml
from orchestrator.specfile.text.positions import DEEPEST, JsonPositions, Place, Positions
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.stdin import STANDARD_INPUT, read_piped
from orchestrator.system_errors import refuse_exhaustion

LARGEST_BYTES = 4 * 1024 * 1024
FREE = frozenset({"params", "input", "matrix"})
"""Tables with the user's own values, where a TOML time becomes text."""
PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
LONGEST_PART = 200
PART_OF_NAME = re.compile(r"[ \t]*[A-Za-z0-9_-]+[ \t]*")
LANGUAGES = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
TOML_LINE = re.compile(r"\s*(?:#[^\n]*\n\s*)*(?:\[|[\w.\"'-]+\s*=)")


@dataclass(frozen=True)
class Document:
    """
    One file of a spec.

    Attributes:
        language: toml, yaml or json.
        source: the file's bytes.
        data: its tables.
    """

    path: Path
    language: str
    source: bytes = field(repr=False)
    data: dict[str, Any] = field(repr=False)

    @cached_property
    def _positions(self) -> Positions | dict[FieldPath, Place]:
        text = self.source.decode("utf-8-sig")
        if self.language == "yaml":
            from orchestrator.specfile.text.yaml_events import yaml_places

            return yaml_places(text)
        return JsonPositions(text) if self.language == "json" else Positions(text)

    def line(self, number: int | None) -> str:
        """The text of a line, counted from 1; empty for none."""
        lines = self.source.decode("utf-8-sig").split("\n") if number else []
        return lines[number - 1] if number and number <= len(lines) else ""

    def find(self, path: FieldPath) -> Place | tuple[None, None]:
        """Line and column, both from 1, of a field or of the nearest one around it."""
        places = self._positions
        if isinstance(places, Positions):
            return places.find(path)
        around = (places.get(path[:length]) for length in range(len(path), 0, -1))
        return next((place for place in around if place is not None), (None, None))


def read_document(path: Path) -> Document:
    """
    Reads one file; `-` is standard input.

    Raises:
        SpecError: the file is missing, cannot be a spec, or is empty.
    """
    source = _read(path)
    text = _decoded(path, source)
    language = LANGUAGES.get(path.suffix.lower()) or _language_of(text)
    parse = {"toml": _parse_toml, "yaml": _parse_yaml, "json": _parse_json}[language]
    data = parse(path, text) if text.strip() else {}
    if not data and not isinstance(data, (str, int)):
        raise _refusal(path, "is empty; a spec has a [batch] with a name, and [[jobs]]")
    if not isinstance(data, dict):
        raise _refusal(path, "must be a table with batch and jobs", 1, 1)
    return Document(path=path, language=language, source=source, data=data)


def shown_file(path: Path) -> str:
    """A file as messages name it."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def _read(path: Path) -> bytes:
    too_large = f"is larger than {LARGEST_BYTES:,} bytes; keep data in files beside the spec"
    try:
        if str(path) == STANDARD_INPUT:
            source = read_piped(LARGEST_BYTES)
            if len(source) > LARGEST_BYTES:
                raise _refusal(path, too_large)
            return source
        if path.is_dir():
            raise _refusal(path, "is a folder; name the spec in it")
        # Refused by its name: data that is given as a spec would give a misleading syntax error.
        if path.suffix.lower() not in LANGUAGES:
            ending = repr(path.suffix) if path.suffix else "none"
            known = ", ".join(map(repr, LANGUAGES))
            raise _refusal(path, f"a spec has one of the endings {known}, found {ending}")
        if path.stat().st_size > LARGEST_BYTES:
            raise _refusal(path, too_large)
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES)
    except FileNotFoundError as error:
        raise _refusal(path, "no such file") from error
    except OSError as error:
        refuse_exhaustion(error)
        raise _refusal(path, f"cannot be read: {error.strerror}") from error


def _decoded(path: Path, source: bytes) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        found = f"is not UTF-8 text: found the byte 0x{source[error.start]:02x}"
        raise _refusal(path, found, line, column) from error


def _language_of(text: str) -> str:
    """The language of a text without a file name, judged by its first characters."""
    if text.lstrip().startswith("{"):
        return "json"
    return "toml" if TOML_LINE.match(text) else "yaml"


def _parse_toml(path: Path, text: str) -> Any:
    if _has_long_name(text):
        # The parser's time for such a name grows with the square of its length.
        raise _refusal(path, "is not valid TOML: nested too deeply")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error)) from error
    except RecursionError as error:
        raise _refusal(path, "is not valid TOML: nested too deeply") from error
    except ValueError as error:
        raise _refusal(path, f"is not valid TOML: {plain_toml(str(error))}") from error


def _has_long_name(text: str) -> bool:
    """Whether some dotted name has more parts than tables may be deep."""
    parts = 0
    for piece in text.split(".") if text.count(".") > DEEPEST else ():
        parts = parts + 1 if PART_OF_NAME.fullmatch(piece[:LONGEST_PART]) else 0
        if parts > DEEPEST:
            return True
    return False


def _parse_yaml(path: Path, text: str) -> Any:
    from orchestrator.specfile.text.yaml_events import NotYaml, parse_yaml

    try:
        return parse_yaml(text)
    except NotYaml as error:
        line, column = error.place or (None, None)
        raise _refusal(path, f"is not valid YAML: {error}", line, column, text) from error


def _parse_json(path: Path, text: str) -> Any:
    repeated = []

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            repeated.append(pairs)
        return made

    try:
        data = json.loads(text, object_pairs_hook=table)
    except json.JSONDecodeError as error:
        said = f"{error.msg[:1].lower()}{error.msg[1:]}"
        wrong = f"is not valid JSON: {said}"
        raise _refusal(path, wrong, error.lineno, error.colno, text) from error
    except RecursionError as error:
        raise _refusal(path, "is not valid JSON: nested too deeply") from error
    except ValueError as error:
        raise _refusal(path, f"is not valid JSON: {plain_toml(str(error))}") from error
    if repeated:
        # The parser gives no places, so the text is walked once more, for the message alone.
        line, column = next(iter(JsonPositions(text).repeated), (None, None))
        wrong = "is not valid JSON: the name already has a value"
        raise _refusal(path, wrong, line, column, text)
    return data


def make_jsonable(data: dict[str, Any]) -> list[tuple[FieldPath, str]]:
    """
    Turns times into ISO text where values are the user's, in place.

    Returns:
        The mistakes: values that JSON or its readers do not accept; they are replaced.
    """
    return list(_settle(data, (), is_free=False))


def _settle(table: Any, path: FieldPath, *, is_free: bool) -> Iterator[tuple[FieldPath, str]]:
    places: Iterable[tuple[Any, Any]] = (
        table.items() if isinstance(table, dict) else enumerate(table)
    )
    for name, value in list(places):
        here = (*path, name)
        match value:
            case dict() | list() if len(path) >= DEEPEST:
                table[name] = None
                yield path[:6], f"is nested more than {DEEPEST} levels deep"
            case dict() | list():
                yield from _settle(value, here, is_free=is_free or name in FREE)
            case date() | time() if is_free:
                table[name] = value.isoformat()
            # Replaced, so that the rest of the spec can be checked in the same call.
            case float() if not math.isfinite(value):
                table[name] = 1
                yield here, f"{value} is not a JSON number"
            case int() if not -(2**63) <= value < 2**63:
                table[name] = 1
                yield here, "the number does not fit into 64 bits"


def _not_toml(path: Path, text: str, error: str) -> SpecError:
    place = PLACE.search(error)
    said = error[: place.start()] if place else error
    line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
    column = int(place[2]) if place and place[2] else None
    return _refusal(path, f"is not valid TOML: {plain_toml(said)}", line, column, text)


def _refusal(
    path: Path, message: str, line: int | None = None, column: int | None = None, text: str = ""
) -> SpecError:
    lines = text.split("\n")
    source = lines[line - 1] if line and line <= len(lines) else ""
    return SpecError(
        [Mistake(file=shown_file(path), line=line, column=column, message=message, source=source)]
    )
