"""Data of any format to columns of values, with the line of each row."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from pydantic import JsonValue

from orchestrator.extras import Extra, not_installed
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.tables.cell_values import json_value
from orchestrator.specfile.tables.column_choice import (
    WHOLE,
    Data,
    Report,
    Wanted,
    chosen,
    line_text,
    lines_of,
    refuse_too_many,
    unnamed,
)
from orchestrator.specfile.tables.csv_text import read_csv
from orchestrator.specfile.tables.data_source import Source
from orchestrator.specfile.tables.excel import read_excel
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.tables.value_types import checked, maker_of

LARGEST_JSON = 16 * 1024 * 1024


def read_data(source: Source, wanted: Wanted, report: Report) -> Data:
    """
    The columns of a source.

    Args:
        report: receives the mistakes of single rows, which are skipped.

    Raises:
        SourceMistake: the data as a whole cannot be used.
    """

    def report_with_text(mistake: SourceMistake) -> None:
        mistake.line_text = partial(line_text, source, mistake.line)
        report(mistake)

    readers: dict[str, Callable[[Source, Wanted, Report], Data]] = {
        "csv": read_csv,
        "excel": read_excel,
        "text": _read_text,
        "jsonl": _read_json_lines,
        "json": _read_json,
        "parquet": _read_parquet,
    }
    try:
        return readers[source.format](source, wanted, report_with_text)
    except SourceMistake as mistake:
        mistake.line_text = partial(line_text, source, mistake.line)
        raise


def _read_text(source: Source, wanted: Wanted, report: Report) -> Data:
    if wanted.columns is None or set(wanted.columns.values()) != {WHOLE}:
        raise SourceMistake(source.shown, "lines of text have no columns")
    (parameter,) = wanted.columns
    make = maker_of(wanted.types.get(parameter))
    values: list[JsonValue] = []
    lines = array("I")
    for line, text in enumerate(lines_of(source), 1):
        if found := text.strip():
            try:
                values.append(make(found))
            except ValueError as error:
                report(SourceMistake(source.shown, str(error), line, 1))
            else:
                lines.append(line)
            refuse_too_many(source, wanted, len(lines))
    return Data(columns={parameter: values}, lines=lines)


def _read_json_lines(source: Source, wanted: Wanted, report: Report) -> Data:
    rows = _Rows(source, wanted)
    lines = array("I")
    for line, whole in enumerate(lines_of(source), 1):
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
            rows.refuse_if_too_many()
    return Data(columns=rows.columns, lines=lines, unnamed=rows.unnamed)


def _read_json(source: Source, wanted: Wanted, report: Report) -> Data:
    # A JSON list is parsed as a whole, which takes many times its size in memory.
    if len(source.content) > LARGEST_JSON:
        raise SourceMistake(
            source.shown, f"has more than {LARGEST_JSON:,} bytes; JSON Lines may have more"
        )
    text = "".join(lines_of(source))
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
        names = chosen(source, wanted, file.schema_arrow.names)
        # Before reading: the metadata tells how much there would be.
        refuse_too_many(source, wanted, file.metadata.num_rows * len(names))
        elements = file.read(columns=list(names.values())).to_pylist()
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise SourceMistake(source.shown, f"cannot be read as Parquet: {error}") from error
    for name in names.values():
        if file.schema_arrow.names.count(name) > 1:
            raise SourceMistake(source.shown, f"the column {name!r} appears twice")
    return _of_elements(source, wanted, report, elements)


def _of_elements(source: Source, wanted: Wanted, report: Report, elements: Sequence[Any]) -> Data:
    rows = _Rows(source, wanted)
    for number, element in enumerate(elements, 1):
        try:
            rows.add(element)
        except ValueError as error:
            report(SourceMistake(source.shown, f"element {number}: {error}"))
        rows.refuse_if_too_many()
    return Data(columns=rows.columns, unnamed=rows.unnamed)


class _Rows:
    """Columns that grow by rows, or by any values if the source has no columns."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._source = source
        self._wanted = wanted
        self._chosen = wanted.columns
        self._count = 0
        self.unnamed: list[str] = []
        self.columns: dict[str, list[JsonValue]] = {name: [] for name in wanted.columns or ()}

    def add(self, row: Any) -> None:
        """
        Adds a row.

        Raises:
            ValueError: it has no such column, or a value of another type; it is skipped.
        """
        columns = self._chosen
        if columns is None or WHOLE not in columns.values():
            if not isinstance(row, dict):
                raise ValueError(f"expected a table, found {show(row)}")
            if columns is None:
                self._chosen = columns = chosen(self._source, self._wanted, list(row))
                self.columns = {name: [] for name in columns}
                self.unnamed = unnamed(self._wanted, list(row))
        made = [self._value(row, parameter, name) for parameter, name in columns.items()]
        for values, value in zip(self.columns.values(), made, strict=True):
            values.append(value)
        self._count += 1

    def refuse_if_too_many(self) -> None:
        """Raises SourceMistake when there are more values than memory should hold."""
        refuse_too_many(self._source, self._wanted, self._count * len(self.columns))

    def _value(self, row: Any, parameter: str, name: str) -> JsonValue:
        if name is not WHOLE and name not in row:
            # Items often lack a field; only one that is used must be there.
            if self._wanted.columns is None and parameter not in self._wanted.used:
                return None
            raise ValueError(f"has no column {show(name)}")
        value = row if name is WHOLE else row[name]
        try:
            if self._source.format == "parquet":
                value = json_value(value)
            return checked(self._wanted.types.get(parameter), value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if name else str(error)) from error
