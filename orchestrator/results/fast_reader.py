"""Reads many lines at once with a fast parser, or carefully if that would change a value."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import orjson

from orchestrator.results.item_source import Piece, Source
from orchestrator.results.tolerant_reader import NotJson, read_carefully

AS_A_LINE = orjson.OPT_APPEND_NEWLINE
OBJECT = ord("{")
UNSURE_NUMBER = re.compile(rb"[:\[,]\s*-?(?:[\d.]{16}|[\d.]*[eE])")
"""A longer number may be more exact than a double, or larger than 64 bits."""
NAME = re.compile(rb'"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """
    An item that a format cannot hold.

    Attributes:
        number: its line, counted from 1.
    """

    source: Source
    number: int
    reason: str
    line: bytes


@dataclass(slots=True, kw_only=True)
class Rows:
    """
    Items as lists of the same length.

    Attributes:
        items: their fields; empty for an item that is not an object.
        columns: values by field name, for fields that were extracted.
        read: values by field name, before their conversion, for fields that identify an item.
        odd: the places of items whose fields do not hold all of their content.
        rejects: the items that were refused.
    """

    sources: list[Source] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    read: dict[str, list[Any]] = field(default_factory=dict)
    odd: set[int] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items)

    def values(self, name: str) -> list[Any]:
        """The values of a field; None if missing or null."""
        found = self.columns.get(name)
        return [item.get(name) for item in self.items] if found is None else found

    def kept(self, keep: list[bool]) -> Rows:
        """The rows for which `keep` is true."""
        return self if all(keep) else self.at(list(compress(range(len(keep)), keep)))

    def at(self, places: list[int]) -> Rows:
        """The rows at some places."""
        return Rows(
            sources=[self.sources[place] for place in places],
            lines=[self.lines[place] for place in places],
            numbers=[self.numbers[place] for place in places],
            items=[self.items[place] for place in places],
            read={name: [values[place] for place in places] for name, values in self.read.items()},
            odd={new for new, old in enumerate(places) if old in self.odd},
            rejects=self.rejects,
        )

    def reject(self, reasons: dict[int, str]) -> Rows:
        """The other rows; adds the named ones to the rejects."""
        for place, reason in reasons.items():
            self.rejects.append(
                Reject(
                    source=self.sources[place],
                    number=self.numbers[place],
                    reason=reason,
                    line=self.lines[place],
                )
            )
        return self.kept([place not in reasons for place in range(len(self))])


def read(pieces: list[Piece], *, as_text: bool) -> Rows:
    """
    The items of a chunk.

    Args:
        as_text: whether items keep their text; otherwise their values must be exact.
    """
    rows = Rows()
    for piece in pieces:
        rows.sources += [piece.source] * len(piece.lines)
        rows.numbers += range(piece.first, piece.first + len(piece.lines))
        rows.lines += piece.lines
    reasons: dict[int, str] = {}
    loads, dumps, add = orjson.loads, orjson.dumps, rows.items.append
    for place, line in enumerate(rows.lines):
        try:
            item = loads(line)
            # Written again and compared: equal bytes prove that the parser has changed no value.
            if line[0] == OBJECT and (as_text or dumps(item, option=AS_A_LINE) == line):
                add(item)
                continue
        except (ValueError, TypeError):  # not JSON for this parser, or too deep to write
            item = None
        _read_unusual(rows, place, item, reasons, as_text=as_text)
    return rows.reject(reasons) if reasons else rows


def _read_unusual(
    rows: Rows, place: int, item: Any, reasons: dict[int, str], *, as_text: bool
) -> None:
    # A byte order mark is asked for by `collect.bom`, and no part of the first item.
    line = rows.lines[place].removeprefix(BOM_UTF8).lstrip()
    rows.lines[place] = line
    if isinstance(item, dict) and (as_text or _is_exact(line, item)):
        rows.items.append(item)
        return
    # The text stays unchanged, even if not UTF-8.
    readable = line.decode(errors="replace").encode() if as_text else line
    try:
        found = read_carefully(readable)
    except NotJson as error:
        rows.items.append({})
        reasons[place] = str(error)
        return
    rows.items.append(found.fields)
    if not found.is_whole or readable != line:
        rows.odd.add(place)


def _is_exact(line: bytes, item: dict[str, Any]) -> bool:
    """Whether the values of an item equal its text, apart from spaces."""
    if UNSURE_NUMBER.search(line):
        return False
    try:
        # Fewer names than the text has: one may be there twice, and the parser keeps the last.
        return len(NAME.findall(line)) == _names_in(item) and bool(orjson.dumps(item))
    except (RecursionError, TypeError):  # too deep
        return False


def _names_in(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_names_in, value.values()))
    return sum(map(_names_in, value)) if isinstance(value, list) else 0
