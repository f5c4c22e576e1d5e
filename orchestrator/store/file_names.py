"""File names for keys of records and for content types."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from urllib.parse import quote, unquote

LONGEST_NAME = 200
"""Bytes; leaves room for a temporary suffix below the 255 of common file systems."""

LETTER = re.compile(r"(?<!%)(?<!%.)[A-Za-z]")
"""Any but those of a percent-encoding."""

RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)}
)

# `mimetypes` depends on the machine; the usual types have the same extension everywhere.
EXTENSIONS = {
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/xml": "xml",
    "text/plain": "txt",
    "text/html": "html",
    "text/csv": "csv",
    "image/jpeg": "jpg",
    "application/octet-stream": "bin",
}


def file_name(key: str) -> str:
    """
    A safe file name for a record's key; `record_key` gives the key back.

    Letters, digits and `_.-~!'()` stay; everything else, a leading dot and the first letter of a
    name that Windows keeps for itself are percent-encoded. A name too long for a file system is
    cut and ends in a digest: the one case that `record_key` cannot reverse.
    """
    # Nearly all ids look like this, and `quote` takes far longer than the test.
    if key.isalnum() and key.isascii() and len(key) <= LONGEST_NAME and key.upper() not in RESERVED:
        return key
    name = quote(key, safe="!'()")
    if name.startswith(".") or name.split(".")[0].upper() in RESERVED:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return _cut(name, key) or "%"


def other_file_name(key: str) -> str:
    """
    Another safe file name for the same key; `record_key` gives the key back.

    For a name that differs from another one only by case, which some file systems ignore.
    """
    return _cut(LETTER.sub(lambda found: f"%{ord(found[0]):02X}", file_name(key)), key)


def _cut(name: str, key: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}~{digest}"


def record_key(name: str) -> str:
    """The key that `file_name` made a name of."""
    return "" if name == "%" else unquote(name)


def extension(content_type: str) -> str:
    """The file extension for a content type, without a dot; `bin` for an unknown one."""
    kind = content_type.split(";")[0].strip().lower()
    known = EXTENSIONS.get(kind)
    if known is None and kind.endswith("+json"):
        known = "json"
    guessed = known or (mimetypes.guess_extension(kind) or ".bin").lstrip(".")
    return guessed if guessed.isalnum() else "bin"
