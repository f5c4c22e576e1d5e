"""The files of a table: one, or one in a folder for each value of some columns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from orchestrator.results.column_kinds import Kind, json_text
from orchestrator.results.distinct_keys import values_of
from orchestrator.results.fast_reader import Rows
from orchestrator.results.shape import Column

# Each open file takes a descriptor, and in Parquet a group of rows in memory.
MOST_OPEN = 32
LONGEST_VALUE = 200
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The folder of items without a value, as readers of Parquet expect it."""


class TableFile(Protocol):
    """A file of a table that is being written."""

    rows: int

    def write(self, rows: Rows) -> None:
        """Appends items."""

    def close(self) -> None:
        """Ends the file."""


class Files:
    """
    The files of a table, few of them open at once.

    Attributes:
        rows: the number of rows in all closed files.
    """

    def __init__(self, folder: Path, name: str, make: Callable[[Path], TableFile]) -> None:
        self._folder = folder
        self._name = name
        self._make = make
        self._open: OrderedDict[str, TableFile] = OrderedDict()
        self.rows = 0

    def begin(self) -> None:
        """Creates the one file of a table without partitions, even if there are no items."""
        self._file("")

    def write(self, rows: Rows, columns: Sequence[Column]) -> None:
        """Appends items, each to the file of its partition."""
        if not columns:
            self._file("").write(rows)
            return
        groups: dict[str, list[int]] = {}
        for place, folder in enumerate(folders_of(rows, columns)):
            groups.setdefault(folder, []).append(place)
        for folder, places in groups.items():
            self._file(folder).write(rows.at(places) if len(groups) > 1 else rows)

    def close(self) -> None:
        """Ends all files."""
        while self._open:
            self._close_oldest()

    def _file(self, folder: str) -> TableFile:
        file = self._open.get(folder)
        if file is None:
            if len(self._open) == MOST_OPEN:
                self._close_oldest()
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
            file = self._open[folder] = self._make(self._folder / folder / self._name)
        self._open.move_to_end(folder)
        return file

    def _close_oldest(self) -> None:
        _, file = self._open.popitem(last=False)
        file.close()
        self.rows += file.rows


def folders_of(rows: Rows, columns: Sequence[Column]) -> list[str]:
    """The folder of each item, such as `country=us/day=2`."""
    parts = [_parts(column, values_of(rows, column)) for column in columns]
    return ["/".join(names) for names in zip(*parts, strict=True)]


def is_cut(value: Any) -> bool:
    """Whether a value is too long for the name of a folder."""
    # As JSON, which is longer: a late value may change the kind of the column.
    return value is not None and len(_encoded(json_text(value))) > LONGEST_VALUE


def _parts(column: Column, values: Sequence[Any]) -> list[str]:
    text = json_text if column.kind is Kind.JSON else _plain
    # The type is part of the key, because true equals 1 in Python.
    keys = [(type(v), json_text(v) if isinstance(v, dict | list) else v) for v in values]
    made = {
        key: f"{_encoded(column.name)}={_folder(value, text)}"
        for key, value in zip(keys, values, strict=True)
    }
    return [made[key] for key in keys]


def _folder(value: Any, text: Callable[[Any], str]) -> str:
    return NO_VALUE if value is None else _encoded(text(value))[:LONGEST_VALUE]


def _plain(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return value if type(value) is str else json_text(value)


def _encoded(text: str) -> str:
    # A value that looks like the folder of missing values must not be read as one.
    return f"%5F{text[1:]}" if text == NO_VALUE else quote(text, safe="")
