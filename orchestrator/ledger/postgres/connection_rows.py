"""Rows of PostgreSQL that are read like those of SQLite, and the SQL as psycopg takes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
from functools import cache
from typing import Any

from psycopg import Cursor
from psycopg.adapt import Buffer, Dumper
from psycopg.postgres import types

from orchestrator.ledger.queries import PARAMETER, Dialect, queries


class NamedRow:
    """A row, by the names of its columns or by their places."""

    __slots__ = ("_places", "_values")

    def __init__(self, values: Sequence[Any], places: Mapping[str, int]) -> None:
        self._values = values
        self._places = places

    def __getitem__(self, key: str | int) -> Any:
        """The value of a column."""
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        """The values of the columns, in their order."""
        return iter(self._values)

    def keys(self) -> KeysView[str]:
        """The names of the columns."""
        return self._places.keys()


def named_rows(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], NamedRow]:
    """The row factory of psycopg for `NamedRow`."""
    return NamedRows()(cursor)


class NamedRows:
    """The row factory of psycopg for the answers to one statement: its columns stay the same."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def __call__(self, cursor: Cursor[Any]) -> Callable[[Sequence[Any]], NamedRow]:
        """What makes a row of values."""
        if not self._places:
            # Not before there is an answer: psycopg asks earlier, too.
            columns = enumerate(cursor.description or ())
            self._places = {column.name: place for place, column in columns}
        places = self._places
        return lambda values: NamedRow(values, places)


class NumberOfBool(Dumper):
    """Sends True and False as 1 and 0: the columns are numbers, as in SQLite."""

    oid = types["int4"].oid

    def dump(self, obj: bool) -> Buffer:
        """The text of a value."""
        return b"1" if obj else b"0"


ROWS: defaultdict[str, NamedRows] = defaultdict(NamedRows)
"""The row factories of named statements."""


@cache
def statement(name: str) -> bytes:
    """A named statement with psycopg's placeholders."""
    text = queries(Dialect.POSTGRES)[name].replace("%", "%%")
    return PARAMETER.sub(r"%(\1)s", text).encode()


def sendable(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a statement; a text of PostgreSQL has no NUL, and an Actor's may have one."""
    for name, value in values.items():
        if isinstance(value, str) and "\x00" in value:
            values[name] = value.replace("\x00", "?")
    return values
