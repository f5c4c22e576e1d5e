"""Recognises files by their first bytes: packed data, workbooks, other encodings, and no data."""

from __future__ import annotations

import codecs
import io
from pathlib import PurePath
from typing import TYPE_CHECKING

from orchestrator.specfile.tables.source_mistake import SourceMistake

if TYPE_CHECKING:
    from zipfile import ZipFile

LARGEST_BYTES = 128 * 1024 * 1024
LARGEST_WORKBOOK = 4 * LARGEST_BYTES
"""The most bytes of a workbook when it is unpacked."""
ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PARQUET = b"PAR1"
# The longer marks first: that of UTF-32 begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NO_DATA = (
    (b"BZh", "is packed with bzip2; unpack it, or use gzip or zip"),
    (b"\xfd7zXZ\x00", "is packed with xz; unpack it, or use gzip or zip"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd; unpack it, or use gzip or zip"),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip; unpack it, or use gzip or zip"),
    (b"Rar!", "is packed with RAR; unpack it, or use gzip or zip"),
    (b"%PDF-", "is a PDF document; export the data as CSV"),
)
HTML = (b"<!doctype html", b"<html")
MOST_NAMES = 5


def unpacked(shown: str, name: str, content: bytes) -> tuple[str, bytes]:
    """
    The name and the bytes of what a file has in it: itself, unless it is packed.

    Raises:
        SourceMistake: it cannot be unpacked, or has not exactly one file in it.
    """
    for mark, words in NO_DATA:
        if content.startswith(mark):
            raise SourceMistake(shown, words)
    if content[:200].lstrip().lower().startswith(HTML):
        raise SourceMistake(
            shown, "is a page in HTML, perhaps of a login; download or export the data itself"
        )
    if not content.startswith((GZIP, ZIP)):
        return name, content
    # Imported late: few files are packed.
    import gzip
    import zlib
    from zipfile import BadZipFile, ZipFile

    try:
        if content.startswith(ZIP):
            with ZipFile(io.BytesIO(content)) as archive:
                return _only_file(shown, name, content, archive)
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            inner = PurePath(name)
            name = inner.stem if inner.suffix.lower() in (".gz", ".gzip") else name
            return name, bounded(shown, packed.read(LARGEST_BYTES + 1))
    # RuntimeError: it has a password.
    except (OSError, EOFError, BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise SourceMistake(shown, f"cannot be unpacked: {error}") from error


def _only_file(shown: str, name: str, content: bytes, archive: ZipFile) -> tuple[str, bytes]:
    names = archive.namelist()
    if {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} & {*names}:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST_WORKBOOK:
            raise SourceMistake(shown, f"has more than {LARGEST_WORKBOOK:,} bytes when unpacked")
        return f"{name}.xlsx", content
    # Archives from a Mac have a folder beside the data.
    files = [one for one in names if not one.endswith("/") and not one.startswith("__MACOSX/")]
    if len(files) != 1:
        more = ", …" if len(files) > MOST_NAMES else ""
        listed = f": {', '.join(files[:MOST_NAMES])}{more}" if files else ""
        raise SourceMistake(
            shown, f"has {len(files)} files in it{listed}; unpack it and name one of them"
        )
    with archive.open(files[0]) as packed:
        return files[0], bounded(shown, packed.read(LARGEST_BYTES + 1))


def bounded(shown: str, content: bytes) -> bytes:
    """
    The same bytes.

    Raises:
        SourceMistake: there are more than memory should hold.
    """
    if len(content) > LARGEST_BYTES:
        raise SourceMistake(shown, f"has more than {LARGEST_BYTES:,} bytes; split it")
    return content


def format_by_bytes(name: str, content: bytes) -> str | None:
    """The format that the first bytes tell for certain; None if a text could be anything."""
    if content.startswith(OLD_EXCEL) or (content.startswith(ZIP) and name.endswith(".xlsx")):
        return "excel"
    return "parquet" if content.startswith(PARQUET) else None


def encoding_by_bytes(content: bytes, asked: str) -> str:
    """The encoding of a text: what its first bytes tell, else what was asked for."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return encoding
    # A letter and a NUL byte, in either order: UTF-16 without a mark.
    if asked == "utf-8" and len(content) > 1 and (content[0] == 0) != (content[1] == 0):
        return "utf-16-be" if content[0] == 0 else "utf-16-le"
    return asked
