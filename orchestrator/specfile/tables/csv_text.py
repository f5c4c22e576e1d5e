"""CSV as people have it: other delimiters, a line `sep=`, unused columns and unclosed quotes."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from pydantic import JsonValue

from orchestrator.specfile.tables.column_choice import (
    Data,
    Report,
    Wanted,
    chosen,
    lines_of,
    refuse_too_many,
    unnamed,
)
from orchestrator.specfile.tables.data_source import Source
from orchestrator.specfile.tables.file_signatures import LARGEST_BYTES
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.tables.value_types import maker_of

OTHER_DELIMITERS = (";", "\t", "|")
"""Delimiters that are recognised in a first line that has no comma."""
SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""The line that names the delimiter for Excel."""
QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"')
QUOTE_HINT = "write a quote inside a cell twice"


def read_csv(source: Source, wanted: Wanted, report: Report) -> Data:
    """
    The columns of a CSV file.

    Raises:
        SourceMistake: the data as a whole cannot be used.
    """
    # A cell may fill the whole file; the limit of an input is checked when the input is made.
    csv.field_size_limit(LARGEST_BYTES)
    delimiter, skipped = _dialect(source, wanted)
    # Strict: else the module guesses where a cell with a wrong quote ends.
    text = islice(lines_of(source), skipped, None)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    rows = _parsed(source, reader, delimiter, skipped)
    header = next(rows, None)
    first = skipped + 1
    if not header:
        raise SourceMistake(source.shown, "is empty; its first line must name the columns", first)
    names = chosen(source, wanted, header, first)
    place_of = {name: place for place, name in reversed(list(enumerate(header)))}
    places = {parameter: place_of[name] for parameter, name in names.items()}
    _refuse_twins(source, header, set(names.values()), first, delimiter)
    makers = [maker_of(wanted.types.get(parameter)) for parameter in places]
    pairs = list(zip(places.values(), makers, strict=True))
    columns: list[list[JsonValue]] = [[] for _ in places]
    width, lines = len(header), array("I")
    line = reader.line_num + first
    for row in rows:
        if len(row) == width:
            # Spreadsheets end in rows of blank cells.
            if row[0] or any(row):
                try:
                    made = [make(row[place]) for place, make in pairs]
                except ValueError:
                    report(_misfit(source, wanted, line, row, places, delimiter))
                else:
                    for values, value in zip(columns, made, strict=True):
                        values.append(value)
                    lines.append(line)
        elif row:
            report(_wrong_width(source, line, row, header, first))
        refuse_too_many(source, wanted, len(lines) * len(columns))
        line = reader.line_num + first
    return Data(
        columns=dict(zip(places, columns, strict=True)),
        lines=lines,
        unnamed=unnamed(wanted, header),
    )


def _dialect(source: Source, wanted: Wanted) -> tuple[str, int]:
    """The delimiter, and the number of lines before the names of the columns."""
    first = next(lines_of(source), "").rstrip("\r\n")
    named = SEP_LINE.fullmatch(first)
    if named:
        return wanted.delimiter or named[1], 1
    if wanted.delimiter is not None:
        return wanted.delimiter, 0
    plain = QUOTED.sub("", first)
    others = {mark: plain.count(mark) for mark in OTHER_DELIMITERS}
    likely = max(others, key=lambda mark: others[mark])
    return ("," if "," in plain or not others[likely] else likely), 0


def _parsed(source: Source, reader: Any, delimiter: str, skipped: int) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        said = str(error)
        last = reader.line_num + skipped
        opened = _open_quote(source, delimiter, skipped)
        if "unexpected end" in said and opened:
            words = f"a cell opens with a quote here and has no closing quote; {QUOTE_HINT}"
        elif "expected after" in said and opened:
            words = (
                "a cell opens with a quote here, and text follows its closing quote in line "
                f"{last}; {QUOTE_HINT}"
            )
        else:
            raise SourceMistake(source.shown, said, last) from error
        raise SourceMistake(source.shown, words, *opened) from error


def _open_quote(source: Source, delimiter: str, skipped: int) -> tuple[int, int] | None:
    """Line and column of the first cell that does not end with its closing quote."""
    text = "".join(lines_of(source))
    opening = re.compile(rf'(?:\A|(?<=[{re.escape(delimiter)}\r\n]))"')
    at = sum(len(line) for line in islice(lines_of(source), skipped))
    while found := opening.search(text, at):
        cell = QUOTED.match(text, found.start())
        if cell is None or text[cell.end() : cell.end() + 1] not in ("", delimiter, "\r", "\n"):
            before = text[: found.start()]
            return before.count("\n") + 1, found.start() - before.rfind("\n")
        at = cell.end()
    return None


def _refuse_twins(
    source: Source, header: Sequence[str], used: Collection[str], line: int, delimiter: str
) -> None:
    seen: set[str] = set()
    for index, name in enumerate(header):
        if name in used and name in seen:
            raise SourceMistake(
                source.shown,
                f"the column {name!r} appears twice",
                line,
                _column_of(source, line, index, delimiter),
            )
        seen.add(name)


def _wrong_width(
    source: Source, line: int, row: Sequence[str], header: Sequence[str], first: int
) -> SourceMistake:
    if len(header) == 1 and header[0].startswith("#"):
        raise SourceMistake(
            source.shown,
            "the first line must name the columns, but looks like a comment; delete it",
            first,
            1,
        )
    cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
    return SourceMistake(
        source.shown, f"the row has {cells}, expected {len(header)} as in the first line", line
    )


def _misfit(
    source: Source,
    wanted: Wanted,
    line: int,
    row: Sequence[str],
    places: Mapping[str, int],
    delimiter: str,
) -> SourceMistake:
    """The mistake of the first cell of a row that is not of its type."""
    for parameter, place in places.items():
        try:
            maker_of(wanted.types.get(parameter))(row[place])
        except ValueError as wrong:
            column = _column_of(source, line, place, delimiter)
            return SourceMistake(source.shown, str(wrong), line, column)
    raise AssertionError(row)


def _column_of(source: Source, line: int, place: int, delimiter: str) -> int | None:
    """The column of a cell in its line, counted from 1; None if it begins on a later line."""
    whole = next(chain(islice(lines_of(source), line - 1, line), ("",)))
    cell = re.compile(rf'"(?:[^"]|"")*"|[^{re.escape(delimiter)}\r\n]*')
    at = 0
    for _ in range(place):
        found = cell.match(whole, at)
        at = (found.end() if found else at) + 1
    return at + 1 if at < len(whole) else None
