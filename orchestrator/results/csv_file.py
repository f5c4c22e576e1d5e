"""
A table as CSV: texts unchanged, all other values as JSON.

An empty text is `""`, and a cell without a value is empty, as PostgreSQL and DuckDB read it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.results.column_kinds import Kind, json_texts
from orchestrator.results.column_values import cells_of
from orchestrator.results.fast_reader import Rows
from orchestrator.results.shape import Column, Layout

QUOTED = re.compile(r'^$|[",\r\n]')
FORMULA = re.compile(r"[=+@\t\r'-]")
"""The start of a cell that a spreadsheet reads as a formula, or that was made safe."""
PLAIN = {bool, int, float, type(None)}
"""The types of values whose JSON needs no quotes."""


def form(column: Column) -> Kind | None:
    """The part of a column's kind that its text depends on."""
    return Kind.TEXT if column.kind in (Kind.TEXT, Kind.NOTHING) else Kind.JSON


class CsvFile:
    """
    A file of CSV that is being written.

    Attributes:
        rows: how many were written.
    """

    def __init__(self, path: Path, *, layout: Layout, is_safe: bool) -> None:
        self._is_safe = is_safe
        self._columns = [c for c in layout.columns if c not in layout.partition_by]
        self._layout = layout
        self._file = path.open("a", encoding="utf-8", newline="")
        self.rows = 0
        if self._file.tell() == 0:
            names = [self._cell(column.name) for column in self._columns]
            self._file.write(",".join(names) + "\n")

    def write(self, rows: Rows) -> None:
        """Appends items."""
        columns = [
            self._cells(column, cells_of(rows, column, self._layout)) for column in self._columns
        ]
        self._file.writelines(",".join(cells) + "\n" for cells in zip(*columns, strict=True))
        self.rows += len(rows)

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _cells(self, column: Column, values: Sequence[Any]) -> list[str]:
        if form(column) is Kind.TEXT:
            return ["" if text is None else self._cell(text) for text in values]
        texts = json_texts(values)
        # By the values: a late text in a column of numbers changes its kind, but not its form.
        if set(map(type, values)) <= PLAIN:
            return ["" if text is None else text for text in texts]
        # The JSON of a text is no formula.
        return ["" if text is None else _quoted(text) for text in texts]

    def _cell(self, text: str) -> str:
        if self._is_safe and FORMULA.match(text):
            text = f"'{text}"
        return _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
