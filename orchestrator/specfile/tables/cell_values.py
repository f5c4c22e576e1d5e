"""The values of Parquet and Excel that JSON does not have, as values that it has."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import JsonValue

_WHOLE_NUMBERS = range(-(2**63), 2**64)


def json_value(value: Any) -> JsonValue:
    """
    Returns a value of Parquet: times as ISO text, decimals as numbers or exact text.

    Raises:
        ValueError: it has bytes that are no text.
    """
    match value:
        case dict():
            return {str(name): json_value(inner) for name, inner in value.items()}
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case Decimal():
            return _number(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise ValueError("expected a text or a number, found bytes") from None
        case timedelta():
            return str(value)
        case _ if hasattr(value, "isoformat"):  # Parquet has its own types of times
            return value.isoformat()  # type: ignore[no-any-return]  # a text
        case _:
            return value  # type: ignore[no-any-return]  # a number, a text, a bool or None


def whole_or_itself(number: float) -> int | float:
    """Returns a number without its fraction if it has none, and if 64 bits hold it."""
    return int(number) if number.is_integer() and int(number) in _WHOLE_NUMBERS else number


def _number(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        whole = int(value)
        return whole if whole in _WHOLE_NUMBERS else str(whole)
    near = float(value)
    # A text keeps the digits that a number of JSON would lose.
    return near if Decimal(repr(near)) == value else str(value)
