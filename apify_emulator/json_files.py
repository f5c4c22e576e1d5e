"""How JSON files of a user are read."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

import orjson


def without_bom(content: bytes) -> bytes:
    """Returns the content of a text file without the byte order mark that some editors write."""
    return content.removeprefix(BOM_UTF8)


def parse_json(content: bytes) -> Any:
    """
    Returns the value of a JSON file, with or without a byte order mark.

    Raises:
        orjson.JSONDecodeError: the content is not valid JSON.
    """
    return orjson.loads(without_bom(content))
