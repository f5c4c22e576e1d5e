"""
Counts the items in a file that is not JSON Lines, from its bytes as they come.

What is counted is what was written: the platform's own counters lag.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable
from functools import lru_cache
from typing import IO, Protocol
from xml.parsers import expat

from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.sink import Sink

PIECE_BYTES = 1024 * 1024
SHEET = "xl/worksheets/sheet1.xml"
STRUCTURE = re.compile(rb'["\[\]{},]')
ROW = re.compile(rb'<row(?: (?:[^>]*? )?r="(\d+)"[^>]*| [^>]*|/)?>')
STRING_END = re.compile(rb'["\\]')
DROPPING = ("clean", "skip_empty", "unwind", "simplified", "skip_failed_pages", "view")


class Counter(Protocol):
    """Counts items from pieces of a file."""

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""

    def rows(self) -> int | None:
        """The items so far; None when the file is not what its format says."""


class CsvCounter:
    """Counts the rows below the header; a line feed between quotes does not end one."""

    def __init__(self, *, has_header: bool) -> None:
        self._header_rows = int(has_header)
        self._is_quoted = False
        self._ends = 0
        self._head = b""
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        if not data:
            return
        # Quotes split the text into parts outside and inside, by turns; a doubled quote adds an
        # empty part, so the turns stay right.
        outside = int(self._is_quoted)
        parts = data.split(b'"')
        self._ends += sum(part.count(b"\n") for part in parts[outside::2])
        self._is_quoted ^= len(parts) % 2 == 0
        self._last = data[-1:]
        if len(self._head) <= len(BOM_UTF8):
            self._head += data[: len(BOM_UTF8) + 1]

    def rows(self) -> int:
        """The rows so far."""
        # The last row may lack its line feed; a lone byte order mark is no row.
        is_open = self._head not in (b"", BOM_UTF8) and self._last != b"\n"
        return max(0, self._ends + is_open - self._header_rows)


class JsonCounter:
    """Counts the elements of the outermost array."""

    def __init__(self) -> None:
        self._depth = 0
        self._commas = 0
        self._is_empty = True
        self._in_string = False
        self._escapes = False

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        place, end = 0, len(data)
        while place < end:
            if self._in_string:
                place = self._through_string(data, place)
                continue
            # From mark to mark: a loop over single bytes would be slower than the download.
            found = STRUCTURE.search(data, place)
            stop = end if found is None else found.start()
            if self._depth == 1 and self._is_empty and data[place:stop].strip():
                self._is_empty = False
            if found is None:
                return
            self._structure(found[0])
            place = stop + 1

    def rows(self) -> int:
        """The elements so far."""
        return 0 if self._is_empty else self._commas + 1

    def _structure(self, mark: bytes) -> None:
        if mark == b",":
            self._commas += self._depth == 1
            return
        if self._depth == 1 and mark != b"]":
            self._is_empty = False
        if mark == b'"':
            self._in_string = True
        else:
            self._depth += 1 if mark in b"[{" else -1

    def _through_string(self, data: bytes, place: int) -> int:
        if self._escapes:
            self._escapes = False
            return place + 1
        found = STRING_END.search(data, place)
        if found is None:
            return len(data)
        self._escapes = found[0] == b"\\"
        self._in_string = self._escapes
        return found.end()


class XmlCounter:
    """Counts the elements at a depth, or those of a name there."""

    def __init__(self, depth: int, name: str | None = None) -> None:
        self._name = name
        self._at = depth
        self._depth = 0
        self._rows: int | None = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        if self._rows is None:
            return
        try:
            self._parser.Parse(data)
        except expat.ExpatError:
            # Keys of items need not be names of elements.
            self._rows = None

    def rows(self) -> int | None:
        """The elements so far; None for what is not XML."""
        return self._rows

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        is_row = self._depth == self._at and self._name in (None, name)
        if is_row and self._rows is not None:
            self._rows += 1

    def _end(self, _name: str) -> None:
        self._depth -= 1


class TagCounter:
    """Counts the rows of a table below its header; text in it cannot hold a tag."""

    def __init__(self, tag: bytes, *, has_header: bool = True) -> None:
        self._tag = tag
        self._header_rows = int(has_header)
        self._rest = b""
        self._found = 0

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        text = self._rest + data
        self._found += text.count(self._tag)
        # A tag may be cut where two pieces meet.
        self._rest = text[1 - len(self._tag) :]

    def rows(self) -> int:
        """The rows so far."""
        return max(0, self._found - self._header_rows)


class RowCounter:
    """Counts the rows of a sheet below its header, also those without a cell, which have no tag."""

    def __init__(self) -> None:
        self._rest = b""
        self._last = 0

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        text = self._rest + data
        for found in ROW.finditer(text):
            self._last = int(found[1]) if found[1] else self._last + 1
        # A tag may be cut where two pieces meet.
        cut = text.rfind(b"<")
        self._rest = text[cut:] if cut > text.rfind(b">") else b""

    def rows(self) -> int:
        """The rows so far."""
        return max(0, self._last - 1)


COUNTERS: dict[str, Callable[[ItemsQuery], Counter]] = {
    "csv": lambda query: CsvCounter(has_header=not query.skip_header_row),
    "json": lambda _query: JsonCounter(),
    "xml": lambda _query: XmlCounter(2),
    "rss": lambda _query: XmlCounter(3, "item"),
    "html": lambda query: TagCounter(b"<tr", has_header=not query.skip_header_row),
}


def counter_of(query: ItemsQuery) -> Counter | None:
    """What counts the items of a format from its bytes; None for JSON Lines and for workbooks."""
    make = COUNTERS.get(query.format)
    return None if make is None else make(query)


def rows_of_workbook(file: IO[bytes]) -> int | None:
    """The rows below the header of the first sheet of an XLSX file; None for what is not one."""
    counter = RowCounter()
    try:
        with zipfile.ZipFile(file) as book, book.open(SHEET) as sheet:
            while piece := sheet.read(PIECE_BYTES):
                counter.feed(piece)
    # What `zipfile` raises of damaged bytes; RuntimeError if they say that they are encrypted.
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, ValueError):
        return None
    return counter.rows()


# A batch has few different queries, and asks this for each job.
@lru_cache(maxsize=1024)
def keeps_every_item(query: ItemsQuery) -> bool:
    """Whether each stored item is one item of the answer: no filter drops or splits any."""
    return not any(getattr(query, name) for name in DROPPING)


def shown_rows(query: ItemsQuery, sink: Sink, counter: Counter | None) -> int | None:
    """How many items were written; None when that cannot be counted."""
    if query.format == "jsonl":
        return sink.lines
    return None if counter is None else counter.rows()


def stored_in(query: ItemsQuery, rows: int | None, processed: int) -> int:
    """
    How many items of the platform went into so many rows.

    Args:
        processed: how many the platform has read, where filters may have dropped some.
    """
    return rows if rows is not None and keeps_every_item(query) else processed
