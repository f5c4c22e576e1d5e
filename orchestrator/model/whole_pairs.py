"""
Reads JSON that an Actor made into values that texts, inputs and ledgers can hold.

Programs in JavaScript cut texts in the middle of an emoji, and write the half that is left as an
escape. A strict parser refuses such JSON as a whole, for one letter in a field that nobody uses.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any

import orjson

HALF = re.compile(rb"\\u[dD][89a-fA-F]")
ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u[dD][89a-fA-F]..|\\.", re.DOTALL)
PAIR_BYTES = len(rb"\ud83d\ude00")


def read_json(text: bytes) -> Any:
    """
    The value of JSON, also after a byte order mark; half of a surrogate pair is U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    text = text.removeprefix(BOM_UTF8)
    try:
        return orjson.loads(text)
    except ValueError:
        return orjson.loads(with_whole_pairs(text))


def with_whole_pairs(text: bytes) -> bytes:
    """The same JSON with U+FFFD in the place of each half of a surrogate pair."""
    return ESCAPE.sub(_whole, text) if HALF.search(text) else text


def _whole(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    is_half = len(escape) < PAIR_BYTES and HALF.match(escape) is not None
    return rb"\ufffd" if is_half else escape
