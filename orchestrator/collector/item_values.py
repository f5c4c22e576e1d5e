"""
The value of an item's JSON text, also where a strict parser refuses it.

A cut emoji (a lone surrogate), NaN, numbers beyond 64 bits, bytes that are not UTF-8 and deep
nesting are what Actors and gateways send: the data is judged, not the parser.
"""

from __future__ import annotations

import json
import marshal
import re
from contextlib import suppress
from typing import Any

import orjson

DEEPEST = 200
"""Deeper containers count as empty where the parsers' own limits are passed."""

LONG_NUMBER = re.compile(rb"[0-9]{20}")
"""Whole numbers of fewer digits fit into 64 bits."""

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def parse_item(line: bytes) -> Any:
    """
    The value of a line.

    Raises:
        ValueError: it is not JSON by any reading.
    """
    try:
        value = orjson.loads(line)
    except ValueError:
        text = line.decode("utf-8-sig", "replace")
    else:
        if LONG_NUMBER.search(line) is None:
            return value
        # It makes floats of whole numbers beyond 64 bits, and different ones would be equal.
        with suppress(ValueError, RecursionError):
            return json.loads(line)
        return value
    try:
        # Unlike orjson, it takes NaN and lone surrogates.
        return json.loads(text)
    except RecursionError:
        return json.loads(_cut_nesting(text))


def canonical(value: Any) -> bytes:
    """The same bytes for equal values."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Lone surrogates, and deep nesting.
        pass
    try:
        return json.dumps(value, sort_keys=True).encode()
    except RecursionError:
        return marshal.dumps(value)


def plain(value: Any, depth: int = 0) -> Any:
    """A value without lone surrogates and deep nesting, for libraries that take neither."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            inner = value.items() if depth < DEEPEST else ()
            return {plain(key): plain(item, depth + 1) for key, item in inner}
        case list():
            return [plain(item, depth + 1) for item in value] if depth < DEEPEST else []
        case _:
            return value


def _cut_nesting(text: str) -> str:
    kept, depth, start = [], 0, 0
    for token in TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == DEEPEST:
                kept.append(text[start : token.end()])
        elif token[0] in ("]", "}"):
            if depth == DEEPEST:
                start = token.start()
            depth -= 1
    kept.append(text[start:])
    return "".join(kept)
