"""The types that values of data files may have."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import JsonValue

from orchestrator.specfile.diagnostics import show

MOST_REMEMBERED = 1024
"""How many different texts of a column share one copy in memory."""
WORDS = {
    "text": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "json": "JSON",
}


def maker_of(type_name: str | None) -> Callable[[str], JsonValue]:
    """A function that makes values of a column from texts; equal values share memory."""
    if type_name not in (None, "text"):
        return lambda text: _of_text(str(type_name), text)
    known: dict[str, str] = {}

    def shared(text: str) -> str:
        found = known.get(text)
        if found is None:
            # A column of unique texts would gain nothing, and cost a table of its own.
            if len(known) < MOST_REMEMBERED:
                known[text] = text
            return text
        return found

    return shared


def _of_text(type_name: str, text: str) -> JsonValue:
    try:
        match type_name:
            # `int` and `float` also take `1_000` and the digits of other scripts.
            case "int" if re.fullmatch(r"[+-]?[0-9]{1,19}", text.strip(), re.ASCII):
                number = int(text)
                if -(2**63) <= number < 2**63:
                    return number
            case "float" if text.isascii() and "_" not in text and math.isfinite(float(text)):
                return float(text)
            case "bool" if text.strip().lower() in ("true", "false"):
                return text.strip().lower() == "true"
            case "json":
                return orjson.loads(text)  # type: ignore[no-any-return]  # JSON is JSON
            case "text":
                return text
    except ValueError:
        pass
    raise ValueError(f"expected {WORDS[type_name]}, found {show(text)}")


def checked(type_name: str | None, value: Any) -> JsonValue:
    """A value of JSON, checked by the type if one is set."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "int": int, "float": (int, float), "bool": bool, "text": str,
    }  # fmt: skip
    if type_name is None or type_name == "json":
        return value  # type: ignore[no-any-return]  # JSON is JSON
    if isinstance(value, str):
        return _of_text(type_name, value)
    # True and false are numbers to Python, and not to the user.
    if isinstance(value, kinds[type_name]) and isinstance(value, bool) == (type_name == "bool"):
        return value  # type: ignore[return-value]
    raise ValueError(f"expected {WORDS[type_name]}, found {show(value)}")
