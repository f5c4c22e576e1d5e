"""All records of a key-value store as one archive."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator

from apify_emulator.storages.key_value_store import Record

_PIECE_BYTES = 262_144
_SUFFIXES = {
    "application/json": ".json",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/csv": ".csv",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
}


def zipped(records: Iterable[Record]) -> Iterator[bytes]:
    """Yields a zip archive with a file for each record, named after its key."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for record in records:
                archive.writestr(_name(record), record.read())
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _name(record: Record) -> str:
    """Returns the name of a file; the rules of keys allow no slash, so it stays in its folder."""
    kind = record.content_type.partition(";")[0].strip().lower()
    suffix = _SUFFIXES.get(kind, "")
    has_suffix = record.key.lower().endswith(suffix)
    # `.` and `..` are keys, but they are no names of files.
    name = record.key if record.key.strip(".") else f"_{record.key}"
    return name if has_suffix else f"{name}{suffix}"
