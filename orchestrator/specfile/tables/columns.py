"""Data of any format to columns of values, with the line of each row."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import JsonValue

from orchestrator.extras import Extra, not_installed
from orchestrator.specfile.diagnostics import show, unknown
from orchestrator.specfile.tables.data_source import Source, SourceMistake
from orchestrator.specfile.tables.value_types import checked, maker_of

MOST_VALUES = 8_000_000
LARGEST_JSON = 16 * 1024 * 1024
WHOLE = ""
"""The name of the one column of a source without columns: lines of text, or elements."""
CSV_WORDS = {
    "field larger": "a cell has more than 131,072 characters",
    "unexpected end": "a cell has no closing quote",
    "expected after": "text follows the closing quote; write a quote inside a cell twice",
}

Report = Callable[[SourceMistake], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    The part of a source to read.

    Attributes:
        columns: by parameter; None for all, each as a parameter of its name.
        types: by parameter.
        most_values: how many values memory should hold.
    """

    columns: Mapping[str, str] | None
    types: Mapping[str, str]
    encoding: str = "utf-8"
    delimiter: str = ","
    most_values: int = MOST_VALUES


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """
    Columns of values, all of one length.

    Attributes:
        columns: by parameter.
        lines: the line of each row, counted from 1; empty if the format has none.
    """

    columns: Mapping[str, list[JsonValue]]
    lines: Sequence[int] = ()


def read_data(source: Source, wanted: Wanted, report: Report) -> Data:
    """
    The columns of a source.

    Args:
        report: receives the mistakes of single rows, which are skipped.

    Raises:
        SourceMistake: the data as a whole cannot be used.
    """
    readers: dict[str, Callable[[Source, Wanted, Report], Data]] = {
        "csv": _read_csv,
        "text": _read_text,
        "jsonl": _read_json_lines,
        "json": _read_json,
        "parquet": _read_parquet,
    }
    return readers[source.format](source, wanted, report)


def _read_csv(source: Source, wanted: Wanted, report: Report) -> Data:
    # Strict: else the module guesses where a cell with a wrong quote ends.
    reader = csv.reader(_lines(source, wanted.encoding), delimiter=wanted.delimiter, strict=True)
    rows = _parsed(source, reader)
    header = next(rows, None)
    if not header:
        raise SourceMistake(source.shown, "is empty; its first line must name the columns", 1)
    _refuse_twins(source, wanted, header)
    places = {
        parameter: header.index(name) for parameter, name in _chosen(source, wanted, header).items()
    }
    makers = [maker_of(wanted.types.get(parameter)) for parameter in places]
    pairs = list(zip(places.values(), makers, strict=True))
    columns: list[list[JsonValue]] = [[] for _ in places]
    width, lines = len(header), array("I")
    line = reader.line_num + 1
    for row in rows:
        if len(row) == width:
            try:
                made = [make(row[place]) for place, make in pairs]
            except ValueError:
                report(_misfit(source, wanted, line, row, places))
            else:
                for values, value in zip(columns, made, strict=True):
                    values.append(value)
                lines.append(line)
        elif row:
            cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            said = f"the row has {cells}, expected {width} as in the first line"
            report(SourceMistake(source.shown, said, line))
        _refuse_too_many(source, wanted, len(lines) * len(columns))
        line = reader.line_num + 1
    return Data(columns=dict(zip(places, columns, strict=True)), lines=lines)


def _parsed(source: Source, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        said = str(error)
        words = next((words for part, words in CSV_WORDS.items() if part in said), said)
        raise SourceMistake(source.shown, words, reader.line_num) from error


def _refuse_twins(source: Source, wanted: Wanted, header: Sequence[str]) -> None:
    for index, name in enumerate(header):
        if name in header[:index]:
            raise SourceMistake(
                source.shown,
                f"the column {name!r} appears twice",
                1,
                _column_of(source, wanted, 1, index),
            )


def _misfit(
    source: Source, wanted: Wanted, line: int, row: Sequence[str], places: Mapping[str, int]
) -> SourceMistake:
    """The mistake of the first cell of a row that is not of its type."""
    for parameter, place in places.items():
        try:
            maker_of(wanted.types.get(parameter))(row[place])
        except ValueError as wrong:
            column = _column_of(source, wanted, line, place)
            return SourceMistake(source.shown, str(wrong), line, column)
    raise AssertionError(row)


def _column_of(source: Source, wanted: Wanted, line: int, place: int) -> int | None:
    """The column of a cell in its line, counted from 1; None if it begins on a later line."""
    whole = next(text for at, text in enumerate(_lines(source, wanted.encoding), 1) if at == line)
    cell = re.compile(rf'"(?:[^"]|"")*"|[^{re.escape(wanted.delimiter)}\r\n]*')
    at = 0
    for _ in range(place):
        found = cell.match(whole, at)
        at = (found.end() if found else at) + 1
    return at + 1 if at < len(whole) else None


def _read_text(source: Source, wanted: Wanted, report: Report) -> Data:
    if wanted.columns is None or set(wanted.columns.values()) != {WHOLE}:
        raise SourceMistake(source.shown, "lines of text have no columns")
    (parameter,) = wanted.columns
    make = maker_of(wanted.types.get(parameter))
    values: list[JsonValue] = []
    lines = array("I")
    for line, text in enumerate(_lines(source, wanted.encoding), 1):
        if found := text.strip():
            try:
                values.append(make(found))
            except ValueError as error:
                report(SourceMistake(source.shown, str(error), line, 1))
            else:
                lines.append(line)
            _refuse_too_many(source, wanted, len(lines))
    return Data(columns={parameter: values}, lines=lines)


def _read_json_lines(source: Source, wanted: Wanted, report: Report) -> Data:
    rows = _Rows(source, wanted)
    lines = array("I")
    for line, whole in enumerate(_lines(source, wanted.encoding), 1):
        if text := whole.rstrip():
            try:
                rows.add(orjson.loads(text))
            except orjson.JSONDecodeError as error:
                said = f"is not valid JSON: {error.msg}"
                report(SourceMistake(source.shown, said, line, error.colno))
            except ValueError as error:
                report(SourceMistake(source.shown, str(error), line))
            else:
                lines.append(line)
            rows.refuse_too_many()
    return Data(columns=rows.columns, lines=lines)


def _read_json(source: Source, wanted: Wanted, report: Report) -> Data:
    # A JSON list is parsed as a whole, which takes many times its size in memory.
    if len(source.content) > LARGEST_JSON:
        raise SourceMistake(
            source.shown, f"has more than {LARGEST_JSON:,} bytes; JSON Lines may have more"
        )
    text = "".join(_lines(source, "utf-8"))
    try:
        elements = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceMistake(
            source.shown, f"is not valid JSON: {error.msg}", error.lineno, error.colno
        ) from error
    if not isinstance(elements, list):
        raise SourceMistake(source.shown, f"must have a list, found {show(elements)}")
    return _of_elements(source, wanted, report, elements)


def _read_parquet(source: Source, wanted: Wanted, report: Report) -> Data:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise SourceMistake(
            source.shown,
            f"Parquet {not_installed(Extra.PARQUET)}; or convert the data to CSV or JSON Lines",
        ) from None
    try:
        file = ParquetFile(pa.BufferReader(source.content))
        chosen = _chosen(source, wanted, file.schema_arrow.names)
        # Before reading: the metadata tells how much there would be.
        _refuse_too_many(source, wanted, file.metadata.num_rows * len(chosen))
        elements = file.read(columns=list(chosen.values())).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise SourceMistake(source.shown, f"cannot be read as Parquet: {error}") from error
    return _of_elements(source, wanted, report, elements)


def _of_elements(source: Source, wanted: Wanted, report: Report, elements: Sequence[Any]) -> Data:
    rows = _Rows(source, wanted)
    for number, element in enumerate(elements, 1):
        try:
            rows.add(element)
        except ValueError as error:
            report(SourceMistake(source.shown, f"element {number}: {error}"))
        rows.refuse_too_many()
    return Data(columns=rows.columns)


class _Rows:
    """Columns that grow by rows, or by any values if the source has no columns."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._source = source
        self._wanted = wanted
        self._chosen = wanted.columns
        self._count = 0
        self.columns: dict[str, list[JsonValue]] = {name: [] for name in wanted.columns or ()}

    def add(self, row: Any) -> None:
        """
        Adds a row.

        Raises:
            ValueError: it has no such column, or a value of another type; it is skipped.
        """
        chosen = self._chosen
        if chosen is None or WHOLE not in chosen.values():
            if not isinstance(row, dict):
                raise ValueError(f"expected a table, found {show(row)}")
            if chosen is None:
                self._chosen = chosen = {name: name for name in row}
                self.columns = {name: [] for name in row}
        made = [self._value(row, parameter, name) for parameter, name in chosen.items()]
        for values, value in zip(self.columns.values(), made, strict=True):
            values.append(value)
        self._count += 1

    def refuse_too_many(self) -> None:
        """Raises SourceMistake when there are more values than memory should hold."""
        _refuse_too_many(self._source, self._wanted, self._count * len(self.columns))

    def _value(self, row: Any, parameter: str, name: str) -> JsonValue:
        if name is not WHOLE and name not in row:
            raise ValueError(f"has no column {show(name)}")
        value = row if name is WHOLE else row[name]
        if hasattr(value, "isoformat"):  # Parquet has its own types of times
            value = value.isoformat()
        try:
            return checked(self._wanted.types.get(parameter), value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if name else str(error)) from error


def _chosen(source: Source, wanted: Wanted, there: Sequence[str]) -> Mapping[str, str]:
    """The columns to read, by parameter."""
    for name in (wanted.columns or {}).values():
        if name is WHOLE:
            columns = " or ".join(show(column) for column in there[:5])
            raise SourceMistake(source.shown, f"choose a column: column = {columns}")
        if name not in there:
            raise SourceMistake(source.shown, unknown(name, there, "column"), 1)
    return {name: name for name in there} if wanted.columns is None else wanted.columns


def _lines(source: Source, encoding: str) -> Iterator[str]:
    """The lines of a text with their ends, decoded one after the other."""
    # Spreadsheets write a byte order mark, which would become part of the first column's name.
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        yield from io.TextIOWrapper(io.BytesIO(source.content), name, newline="")
    except UnicodeDecodeError:
        raise _not_decoded(source, name) from None


def _not_decoded(source: Source, encoding: str) -> SourceMistake:
    try:
        source.content.decode(encoding)
    except UnicodeDecodeError as error:
        # The place in the message does not count a byte order mark.
        skipped = len(source.content) - len(error.object)
        start = error.start + skipped
        before = source.content[:start]
        return SourceMistake(
            source.shown,
            f"is not text in {encoding.removesuffix('-sig')}: found the byte "
            f'0x{source.content[start]:02x}; set its encoding, such as encoding = "cp1252"',
            before.count(b"\n") + 1,
            start - before.rfind(b"\n"),
        )
    return SourceMistake(source.shown, f"is not text in {encoding}")


def _refuse_too_many(source: Source, wanted: Wanted, values: int) -> None:
    if values > wanted.most_values:
        raise SourceMistake(
            source.shown,
            f"has more than {wanted.most_values:,} values; read fewer columns, or split it",
        )
