"""The kinds of values in a column, and their texts, from which each value can be read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import compress
from typing import Any

import orjson

from orchestrator.results.tolerant_reader import INTEGERS, JsonText

EXACT_IN_A_DOUBLE = range(-(2**53), 2**53 + 1)
WRITTEN_FAST = {str, bool, int, dict, list, type(None)}
UNUSUAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class Kind(StrEnum):
    """
    The kind of all values of a column.

    LONG: integers that a double cannot hold exactly. JSON: the JSON text of each value, for nested
    values and mixed kinds.
    """

    NOTHING = "nothing"
    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    NUMBER = "number"
    JSON = "json"
    TIMESTAMP = "timestamp"
    DATE = "date"


NUMERIC = {
    frozenset({Kind.INTEGER, Kind.LONG}): Kind.LONG,
    frozenset({Kind.INTEGER, Kind.NUMBER}): Kind.NUMBER,
}


def joined(one: Kind, other: Kind) -> Kind:
    """The kind of a column that has values of both kinds."""
    if one is other or other is Kind.NOTHING:
        return one
    if one is Kind.NOTHING:
        return other
    return NUMERIC.get(frozenset({one, other}), Kind.JSON)


def kind_of(values: Iterable[Any]) -> Kind:
    """The kind of values; ignores None."""
    types = set(map(type, values)) - {type(None)}
    if not types:
        return Kind.NOTHING
    if types == {str}:
        return Kind.TEXT
    if types == {bool}:
        return Kind.BOOLEAN
    if types <= {int, float}:
        return _kind_of_numbers([value for value in values if value is not None], float in types)
    return Kind.JSON


def _kind_of_numbers(values: list[Any], has_fractions: bool) -> Kind:
    # A double holds only some of the larger integers, so they must not share a column with
    # fractions.
    whole = [value for value in values if type(value) is int] if has_fractions else values
    if not whole or (min(whole) in EXACT_IN_A_DOUBLE and max(whole) in EXACT_IN_A_DOUBLE):
        return Kind.NUMBER if has_fractions else Kind.INTEGER
    is_long = not has_fractions and min(whole) in INTEGERS and max(whole) in INTEGERS
    return Kind.LONG if is_long else Kind.JSON


def json_text(value: Any) -> str:
    """The JSON text of a value."""
    if isinstance(value, JsonText):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return UNUSUAL[str(value)]
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value)


def json_texts(values: Sequence[Any]) -> list[str | None]:
    """The JSON text of each value; None stays."""
    if set(map(type, values)) <= WRITTEN_FAST:
        try:
            dumps = orjson.dumps
            return [value if value is None else dumps(value).decode() for value in values]
        except TypeError:
            pass  # an integer of more than 64 bits
    return [None if value is None else json_text(value) for value in values]


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - one error for all that does not fit
    digits = value.partition(".")[2].rstrip("Zz").partition("+")[0].partition("-")[0]
    if len(digits.rstrip("0")) > len("microseconds"[:6]):
        raise ValueError(value)
    time = datetime.fromisoformat(value)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _date(value: Any) -> date:
    return date.fromisoformat(value)


def _integer(value: Any) -> int:
    number = int(value)
    # A bool is an int to Python, and `int` alone would cut off the fraction of a float. Others are
    # not compared with their float, because it is not exact above 2**53.
    is_cut = isinstance(value, float) and number != value
    if isinstance(value, bool) or is_cut or number not in INTEGERS:
        raise ValueError(value)
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004
    return float(value)


def _boolean(value: Any) -> bool:
    if value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004
    return value


def _text(value: Any) -> str:
    return value if type(value) is str else json_text(value)


CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIMESTAMP: _timestamp,
    Kind.DATE: _date,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
}
"""The kinds that `types` of a spec allows, each with its converter, which may raise."""


def converted(values: Sequence[Any], kind: Kind) -> tuple[list[Any], dict[int, str]]:
    """Converts values to a kind; returns them, and the reasons by place where that fails."""
    convert = CONVERTERS[kind]
    made: list[Any] = [None] * len(values)
    reasons: dict[int, str] = {}
    for place in compress(range(len(values)), [value is not None for value in values]):
        try:
            made[place] = convert(values[place])
        except (ValueError, TypeError, OverflowError):
            reasons[place] = f"{json_text(values[place])[:60]} is not of the type {kind}"
    return made, reasons
