"""
A spec's file to plain data: bytes, text, TOML, and values that JSON can say.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

from orchestrator.errors import Mistake, SpecError
from orchestrator.spec.positions import Path as FieldPath
from orchestrator.spec.words import plain_toml

LARGEST_BYTES = 16 * 1024 * 1024
DEEPEST = 100
FREE = frozenset({"params", "input", "matrix"})
"""
Tables whose values are the user's: there a time of TOML becomes text.
"""
PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_spec(path: Path) -> bytes:
    """
    The bytes of a spec's file.

    Raises:
        SpecError: there is no such file, or none that can be a spec.
    """
    try:
        if path.is_dir():
            raise _refusal(path, "is a folder; give the spec in it")
        if path.suffix.lower() != ".toml":
            ending = repr(path.suffix) if path.suffix else "none"
            raise _refusal(
                path, f"this version reads specs with the ending '.toml', found {ending}"
            )
        if path.stat().st_size > LARGEST_BYTES:
            raise _refusal(
                path, f"is larger than {LARGEST_BYTES:,} bytes; keep data in files beside the spec"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _refusal(path, "no such file") from error
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from error


def parse_spec(path: Path, source: bytes) -> dict[str, Any]:
    """
    The tables of a spec.

    Raises:
        SpecError: the text is no TOML, or has nothing in it.
    """
    try:
        data = tomllib.loads(source.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        found = f"is no UTF-8 text: found the byte 0x{source[error.start]:02x}"
        raise _refusal(path, found, line, column) from error
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, source, str(error)) from error
    except RecursionError as error:
        raise _refusal(path, "is no valid TOML: nested too deeply") from error
    except ValueError as error:
        raise _refusal(path, f"is no valid TOML: {plain_toml(str(error))}") from error
    if not data:
        raise _refusal(path, "is empty; a spec has a [batch] with a name, and [[jobs]]")
    return data


def make_jsonable(data: dict[str, Any]) -> list[tuple[FieldPath, str]]:
    """
    Turns TOML's times into ISO text where values are the user's, in place.

    Returns:
        The mistakes: what JSON has no word for, or no reader takes; such values are replaced.
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
            case float() if not math.isfinite(value):
                table[name] = 1
                yield here, f"{value} is no JSON number"
            case int() if not -(2**63) <= value < 2**63:
                table[name] = 1
                yield here, "the number does not fit into 64 bits"


def _not_toml(path: Path, source: bytes, error: str) -> SpecError:
    place = PLACE.search(error)
    said = error[: place.start()] if place else error
    line = int(place[1]) if place and place[1] else source.rstrip().count(b"\n") + 1
    column = int(place[2]) if place and place[2] else None
    return _refusal(path, f"is no valid TOML: {plain_toml(said)}", line, column)


def _refusal(
    path: Path, message: str, line: int | None = None, column: int | None = None
) -> SpecError:
    return SpecError([Mistake(file=str(path), line=line, column=column, message=message)])
