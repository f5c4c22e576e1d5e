"""
Reads items that a fast parser refuses or would change, without losing a value.

It reads lone surrogates, numbers of any size, NaN, nesting of any depth and repeated names by a
scan of the text without recursion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+|"', re.DOTALL)
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
WORDS: dict[bytes, Any] = {
    b"true": True,
    b"false": False,
    b"null": None,
    # Not JSON, but some servers write it; the values stay unchanged.
    b"NaN": float("nan"),
    b"Infinity": float("inf"),
    b"-Infinity": float("-inf"),
}
CLOSERS = {b"{": b"}", b"[": b"]"}
SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_INTEGER = len("-9223372036854775808")
INTEGERS = range(-(2**63), 2**63)


class NotJson(ValueError):
    """A line that is not JSON; the message names the mistake."""


class JsonText(str):
    """The JSON text of a value that Python cannot hold exactly."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    An item by its fields.

    Attributes:
        fields: empty for an item that is not an object.
        is_whole: whether the fields hold all content of the item.
    """

    fields: dict[str, Any]
    is_whole: bool


def read_carefully(line: bytes) -> Item:
    """
    Reads a line.

    Raises:
        NotJson: it is not JSON, or not UTF-8.
    """
    text = line.strip()
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"is not UTF-8 at byte {error.start + 1}") from error
    # A column of its own keeps the line of an item that is not an object.
    if not text.startswith(b"{"):
        _value(text)
        return Item(fields={}, is_whole=False)
    fields: dict[str, Any] = {}
    is_whole = True
    for raw_name, raw in _members(text):
        name, value = _string(raw_name), _value(raw)
        if SURROGATE.search(name):
            is_whole = False
            continue
        if isinstance(value, str) and SURROGATE.search(value):
            value, is_whole = SURROGATE.sub("\ufffd", value), False
        is_whole = is_whole and name not in fields
        fields[name] = value
    return Item(fields=fields, is_whole=is_whole)


def field_of(line: bytes, name: str) -> Any:
    """
    The value of one field of an object, also with half of a surrogate pair; None if missing.

    Raises:
        ValueError: the field is not UTF-8.
    """
    found = None
    for raw_name, raw in _members(line.strip()):
        if _string(raw_name) == name:
            found = raw
    return None if found is None else _value(found)


def _members(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and values of an object, as raw text."""
    tokens = TOKEN.finditer(text)
    closers = [CLOSERS[next(tokens)[0]]]
    name: bytes | None = None
    start: int | None = None
    is_first = True
    for found in tokens:
        token = found[0]
        if not closers:
            raise NotJson("has more text after its end")
        if start is None and token not in (b"}", b","):
            name, start = _begin(name, token, found.end())
        elif token in CLOSERS:
            closers.append(CLOSERS[token])
        elif token in (b"}", b"]") and closers.pop() != token:
            raise NotJson("has brackets that do not match")
        if not closers or (token == b"," and len(closers) == 1):
            if name is not None and start is not None:
                yield name, text[start : found.start()].strip()
            elif name is not None or not is_first or token == b",":
                raise NotJson("has a comma or a name without a field")
            name, start, is_first = None, None, False
    if closers:
        raise NotJson("ends too early")


def _begin(name: bytes | None, token: bytes, end: int) -> tuple[bytes, int | None]:
    """The name of a field, or, at the colon after it, the name and where the value begins."""
    if name is None and len(token) > 1 and token.startswith(b'"'):
        return token, None
    if name is not None and token == b":":
        return name, end
    raise NotJson("has a field without a name or a value")


def _value(raw: bytes) -> Any:
    if raw in WORDS:
        return WORDS[raw]
    if raw[:1] == b'"':
        return _string(raw)
    if raw[:1] in CLOSERS:
        return _nested(raw)
    found = NUMBER.fullmatch(raw)
    if found is None:
        raise NotJson("has a value that is not JSON")
    return _number(raw.decode(), is_integer=found[1] is None and found[2] is None)


def _string(raw: bytes) -> str:
    try:
        return str(json.loads(raw))
    except ValueError as error:
        raise NotJson("has a text that is not JSON") from error


def _nested(raw: bytes) -> JsonText:
    text = raw.decode()
    try:
        json.loads(text, parse_int=len, parse_float=len)  # numbers may be too long for Python
    except RecursionError:
        # Too deep for any parser. The brackets match, and the content stays text.
        pass
    except ValueError as error:
        raise NotJson(f"is not JSON: {error}") from error
    return JsonText(text)


def _number(text: str, *, is_integer: bool) -> Any:
    """A number as Python's, or as its text if Python's would differ."""
    if is_integer:
        if len(text) <= LONGEST_INTEGER and int(text) in INTEGERS:
            return int(text)
        return JsonText(text)
    value = float(text)
    try:
        # By its shortest text, which is what a writer would print for the double.
        is_exact = Decimal(text) == Decimal(repr(value))
    except InvalidOperation:
        is_exact = False
    return value if is_exact else JsonText(text)
