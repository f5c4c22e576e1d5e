"""
Finds repeated items: within a table, and in all earlier batches of a series.

It keeps only digests of the values that identify items, most of them on disk.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from orchestrator.results.fast_reader import Rows
from orchestrator.results.item_source import NotMerged
from orchestrator.results.shape import FIELD, JOB, PARAM, Column
from orchestrator.results.tolerant_reader import JsonText, field_of

DIGEST_BYTES = 16
KEY_FORMAT = 2
"""Batches whose keys were made in another way, some of which differ now, are read once more."""
FILTER_BYTES = 2**24
"""With ten million keys, one in a hundred new keys needs a search on disk."""
FILTER_MASK = FILTER_BYTES - 1
_PLACES = struct.Struct("<III4x").unpack
EXACT_AS_JSON = {str, int, bool, type(None)}
CACHE_KILOBYTES = 32_768
BUSY_SECS = 120.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    key    BLOB PRIMARY KEY,
    number INTEGER NOT NULL      -- of the first batch that had it
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    id     TEXT NOT NULL,
    fields TEXT NOT NULL,        -- JSON: KEY_FORMAT, and the names of what identifies an item
    PRIMARY KEY (id, fields)
) STRICT, WITHOUT ROWID;
"""


def keys_of(rows: Rows, columns: Sequence[Column]) -> list[bytes | None]:
    """For each item a digest of its values in some columns; None if one is missing or null."""
    # With the names: the same values of other fields are other keys.
    salt = json.dumps([column.of or column.origin for column in columns]).encode()
    texts = zip(*(_texts(rows, column) for column in columns), strict=True)
    return [
        None
        if None in row
        else blake2b(b"\0".join((salt, *row)), digest_size=DIGEST_BYTES).digest()
        for row in texts
    ]


def values_of(rows: Rows, column: Column) -> list[Any]:
    """The values of a column that is a field, the job, the run or a parameter."""
    if column.origin == FIELD:
        return rows.values(column.of)
    if column.origin == PARAM:
        return [source.params.get(column.of) for source in rows.sources]
    if column.origin == JOB:
        return [source.job for source in rows.sources]
    return [getattr(source, column.origin) for source in rows.sources]


def _texts(rows: Rows, column: Column) -> list[Any]:
    """Texts that are equal if and only if the values are; None for a missing value."""
    values = rows.read.get(column.of) if column.origin == FIELD else None
    if values is None:
        values = values_of(rows, column)
    if not rows.odd and set(map(type, values)) <= EXACT_AS_JSON:
        try:
            return [value if value is None else orjson.dumps(value) for value in values]
        except TypeError:
            pass  # an integer of more than 64 bits
    return [
        value if value is None else _text(rows, place, column, value)
        for place, value in enumerate(values)
    ]


def _text(rows: Rows, place: int, column: Column, value: Any) -> bytes:
    more = b""
    is_odd = place in rows.odd
    if column.origin == FIELD and (is_odd or isinstance(value, float | dict | list)):
        # The fast parser may have lost precision, and an odd item may lack half of a pair.
        line = rows.lines[place]
        try:
            value = field_of(line, column.of)
        except ValueError:
            # It is not UTF-8, so the text of the whole item decides.
            more = line
    if isinstance(value, JsonText):
        return _canonical(value)
    # 1 and 1.0 are the same value, and must have the same key.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text.encode(errors="surrogatepass") + more


class _Digits(str):
    """A number as its text, which is not the text in quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _canonical(text: str) -> bytes:
    try:
        value = json.loads(
            text, parse_int=_Digits, parse_float=_Digits, object_pairs_hook=_in_order
        )
        return repr(value).encode()
    except RecursionError:
        return text.encode()


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(dict(pairs).items()))


class Filter:
    """A set of keys in little memory; may report a key that it does not hold."""

    def __init__(self) -> None:
        self._bits = bytearray(FILTER_BYTES)

    def add(self, keys: Iterable[bytes]) -> None:
        """Adds keys, which must be uniformly distributed."""
        bits = self._bits
        for key in keys:
            for place in _PLACES(key):
                bits[place >> 3 & FILTER_MASK] |= 1 << (place & 7)

    def may_have(self, key: bytes) -> bool:
        """Whether the set may hold a key; False is certain."""
        bits = self._bits
        return all(bits[p >> 3 & FILTER_MASK] & 1 << (p & 7) for p in _PLACES(key))


class Uniques:
    """
    Finds repeated keys, with few keys in memory.

    Args:
        folder: the folder for its temporary file.
        most_in_memory: further keys go to that file.
    """

    def __init__(self, folder: Path, *, most_in_memory: int) -> None:
        self._path = folder / "keys.sqlite"
        self._most_in_memory = most_in_memory
        self._recent: set[bytes] = set()
        # Made with the file: most tables have few keys, or none.
        self._spilled: Filter | None = None
        self._db: sqlite3.Connection | None = None

    def are_first(self, keys: Sequence[bytes | None]) -> list[bool]:
        """Whether each key is new; None always is."""
        known = self._on_disk(keys)
        answers = []
        for key in keys:
            is_first = key is None or (key not in self._recent and key not in known)
            if is_first and key is not None:
                self._recent.add(key)
            answers.append(is_first)
        if len(self._recent) > self._most_in_memory:
            self._spill()
        return answers

    def close(self) -> None:
        """Drops all keys and the file."""
        self._recent.clear()
        if self._db is not None:
            self._db.close()
            self._db = None
        self._path.unlink(missing_ok=True)

    def _on_disk(self, keys: Sequence[bytes | None]) -> set[bytes]:
        if self._db is None or self._spilled is None:
            return set()
        keys = [key for key in keys if key is not None and self._spilled.may_have(key)]
        return {key for (key,) in _found(self._db, "SELECT key FROM keys WHERE key = ?", keys)}

    def _spill(self) -> None:
        if self._db is None or self._spilled is None:
            self._spilled = Filter()
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
            self._db.execute("CREATE TABLE keys (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO keys VALUES (?)", ((key,) for key in sorted(self._recent))
        )
        self._db.execute("COMMIT")
        self._spilled.add(self._recent)
        self._recent.clear()


class Seen:
    """The keys of all items of a series, each with the first batch that had it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def take(self, keys: Sequence[bytes | None], numbers: Sequence[int]) -> list[bool]:
        """
        Records the batch of each key; returns whether no batch with a lower number had it.

        A key that is None is always new.
        """
        first = dict(_found(self._db, "SELECT key, number FROM keys WHERE key = ?", keys))
        earlier: dict[bytes, int] = {}
        answers = []
        for key, number in zip(keys, numbers, strict=True):
            before = None if key is None else first.get(key)
            if key is not None and (before is None or before > number):
                earlier[key] = min(number, earlier.get(key, number))
            answers.append(before is None or before >= number)
        self._db.executemany(
            "INSERT INTO keys VALUES (?, ?) ON CONFLICT (key) DO UPDATE "
            "SET number = excluded.number WHERE excluded.number < number",
            sorted(earlier.items()),
        )
        return answers

    def has_batch(self, batch_id: str, fields: Sequence[str]) -> bool:
        """Whether the keys of a batch for these fields are recorded."""
        query = "SELECT 1 FROM batches WHERE id = ? AND fields = ?"
        return self._db.execute(query, (batch_id, _recorded(fields))).fetchone() is not None

    def add_batch(self, batch_id: str, fields: Sequence[str]) -> None:
        """Records that all keys of a batch are recorded."""
        self._db.execute(
            "INSERT OR IGNORE INTO batches VALUES (?, ?)", (batch_id, _recorded(fields))
        )


def _recorded(fields: Sequence[str]) -> str:
    return json.dumps([KEY_FORMAT, *fields])


@contextmanager
def seen_by(folder: Path) -> Iterator[Seen]:
    """
    Opens the keys of a series; commits new ones unless an error occurs.

    Raises:
        NotMerged: the keys cannot be read or written.
        OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "keys.sqlite"
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECS, isolation_level=None)
        try:
            db.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
            db.executescript(SCHEMA)
            # One transaction: a merge that fails or is killed leaves no keys, and a second one
            # waits.
            db.execute("BEGIN IMMEDIATE")
            yield Seen(db)
            db.execute("COMMIT")
        finally:
            db.close()
    except sqlite3.Error as error:
        raise NotMerged(f"{path}: {_advice(error)}") from error


def _advice(error: sqlite3.Error) -> str:
    """Why keys cannot be used, and what to do; only a file that is damaged is of no more use."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_BUSY":
        return (
            "another process merges a batch of this series. When it has ended, run "
            "`orchestrator collect`"
        )
    said = f"the keys of earlier batches cannot be used ({error})"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return (
            f"{said}. Restore the file from a copy; or remove it: it is made again from the "
            "batches on disk, and items of removed batches count as new then"
        )
    return f"{said}; correct that, then run `orchestrator collect`"


def _found(
    db: sqlite3.Connection, query: str, keys: Iterable[bytes | None]
) -> Iterator[tuple[Any, ...]]:
    """The rows of the existing keys; searches in the order of the file."""
    for key in sorted(filter(None, set(keys))):
        row = db.execute(query, (key,)).fetchone()
        if row is not None:
            yield row
