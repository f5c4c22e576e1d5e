"""How large the first sheet of an Excel workbook is, before it is read."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile

_CHUNK = 1 << 20
_LONGEST_CELL = 4096
# A cell that has something in it; formatted cells without a value are not read.
_CELL = re.compile(rb"""\sr=["']([A-Z]{1,3})(\d{1,7})["'][^>/]*>\s*<[^/]""")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def cells_of_first_sheet(content: bytes) -> int | None:
    """
    The cells between the first and the last one with a value, empty ones included.

    The library keeps them all in memory: one value far from the table makes them thousands of
    millions.

    Returns:
        None if the file is not a workbook with the parts of Office Open XML.
    """
    columns: set[bytes] = set()
    rows: set[int] = set()
    try:
        with ZipFile(io.BytesIO(content)) as book:
            for found in _cells(book, _first_sheet(book)):
                columns.update(column for column, _ in found)
                rows.update({int(row) for _, row in found})
    except (BadZipFile, ET.ParseError, LookupError, OSError, RuntimeError, zlib.error):
        return None
    if not columns:
        return 0
    width = {_number(column) for column in columns}
    return (max(rows) - min(rows) + 1) * (max(width) - min(width) + 1)


def _first_sheet(book: ZipFile) -> str:
    """The path of the first sheet in the archive."""
    sheets = [one for one in _elements(book, "xl/workbook.xml") if one.tag.endswith("}sheet")]
    targets = {
        one.attrib["Id"]: one.attrib["Target"]
        for one in _elements(book, "xl/_rels/workbook.xml.rels")
        if one.tag.endswith("}Relationship")
    }
    target = targets[sheets[0].attrib[_RELATION]]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _elements(book: ZipFile, path: str) -> Iterator[ET.Element]:
    return ET.fromstring(book.read(path)).iter()  # noqa: S314 - the parser limits entities


def _cells(book: ZipFile, path: str) -> Iterator[list[tuple[bytes, bytes]]]:
    """The places of cells, in pieces."""
    rest = b""
    with book.open(path) as sheet:
        while chunk := sheet.read(_CHUNK):
            text = rest + chunk
            yield _CELL.findall(text)
            # A cell may be cut; one that is found twice does no harm.
            rest = text[-_LONGEST_CELL:]


def _number(column: bytes) -> int:
    """The number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number
