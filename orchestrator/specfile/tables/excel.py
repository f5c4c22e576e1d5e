"""Workbooks of Excel and OpenDocument: the first sheet, read by an optional library."""

from __future__ import annotations

import io
from array import array
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from pydantic import JsonValue

from orchestrator.extras import Extra, not_installed
from orchestrator.specfile.tables.cell_values import whole_or_itself
from orchestrator.specfile.tables.column_choice import (
    Data,
    Report,
    Wanted,
    chosen,
    refuse_too_many,
    unnamed,
)
from orchestrator.specfile.tables.data_source import Source
from orchestrator.specfile.tables.sheet_size import cells_of_first_sheet
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.tables.value_types import checked

MOST_CELLS = 50_000_000
"""The library keeps each cell in memory, also those without a value; they take 2 to 4 GB."""


def read_excel(source: Source, wanted: Wanted, report: Report) -> Data:
    """
    The columns of the first sheet, whose first row with a value names them.

    Raises:
        SourceMistake: the library is not installed, or the data as a whole cannot be used.
    """
    first, rows = _sheet(source)
    header = [str(_value(cell)).strip() for cell in rows[0]] if rows else []
    if not any(header):
        raise SourceMistake(source.shown, "is empty; its first row must name the columns")
    names = chosen(source, wanted, header, first)
    for name in names.values():
        if header.count(name) > 1:
            raise SourceMistake(source.shown, f"the column {name!r} appears twice", first)
    refuse_too_many(source, wanted, (len(rows) - 1) * len(names))
    places = {parameter: header.index(name) for parameter, name in names.items()}
    columns: dict[str, list[JsonValue]] = {parameter: [] for parameter in places}
    lines = array("I")
    for line, row in enumerate(rows[1:], first + 1):
        if any(cell != "" for cell in row):
            try:
                made = [
                    _typed(wanted.types.get(parameter), _value(row[place]))
                    for parameter, place in places.items()
                ]
            except ValueError as wrong:
                report(SourceMistake(source.shown, str(wrong), line))
            else:
                for values, value in zip(columns.values(), made, strict=True):
                    values.append(value)
                lines.append(line)
    return Data(columns=columns, lines=lines, unnamed=unnamed(wanted, header))


def _sheet(source: Source) -> tuple[int, Sequence[Sequence[Any]]]:
    """The number of the first row that has a value, from 1, and the rows from there on."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise SourceMistake(
            source.shown, f"Excel {not_installed(Extra.EXCEL)}; or export the sheet as CSV"
        ) from None
    cells = cells_of_first_sheet(source.content)
    if cells is not None and cells > MOST_CELLS:
        raise SourceMistake(
            source.shown,
            f"a value far from the table makes the sheet {cells:,} cells large, and at most "
            f"{MOST_CELLS:,} can be read: delete what is there (Ctrl+End in Excel goes to the last "
            "cell), or export the sheet as CSV",
        )
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(source.content)).get_sheet_by_index(0)
        return (sheet.start or (0, 0))[0] + 1, sheet.to_python()
    except (CalamineError, OSError, ValueError, IndexError) as error:
        raise SourceMistake(
            source.shown, f"cannot be read as a workbook: {error}; export the sheet as CSV"
        ) from error


def _value(cell: Any) -> JsonValue:
    """A cell as a JSON value: whole numbers without a fraction, times as ISO text."""
    match cell:
        # Excel has no whole numbers of its own.
        case float():
            return whole_or_itself(cell)
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return cell  # type: ignore[no-any-return]  # a number, a text or a bool


def _typed(type_name: str | None, value: JsonValue) -> JsonValue:
    # A column of codes may be numbers in one row and text in the next.
    return checked(type_name, str(value) if type_name == "text" else value)
