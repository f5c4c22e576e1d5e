"""
Which items were there before: within a table, and in everything that a series ever gave.

Only digests of the values that tell items apart are kept, most of them on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from orchestrator.results.careful import JsonText, read_carefully
from orchestrator.results.fast import Rows
from orchestrator.results.shape import FIELD, JOB, PARAM, Column
from orchestrator.results.source import NotMerged

DIGEST_BYTES = 16
MOST_IN_MEMORY = 500_000
CACHE_KILOBYTES = 32_768
BUSY_SECS = 120.0
NESTED = (dict, list, JsonText)
SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    key    BLOB PRIMARY KEY,
    number INTEGER NOT NULL      -- of the batch that first gave it
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    id     TEXT NOT NULL,
    fields TEXT NOT NULL,        -- JSON: the names that told items apart
    PRIMARY KEY (id, fields)
) STRICT, WITHOUT ROWID;
"""


def keys_of(rows: Rows, columns: Sequence[Column]) -> list[bytes | None]:
    """
    A digest of the values of some columns for each item; None where one is missing or null.
    """
    salt = json.dumps([column.of or column.origin for column in columns]).encode()
    keys: list[bytes | None] = []
    for place in range(len(rows)):
        texts = [_text_of(rows, place, column) for column in columns]
        if None in texts:
            keys.append(None)
            continue
        digest = blake2b(salt, digest_size=DIGEST_BYTES)
        digest.update("\0".join(map(str, texts)).encode())
        keys.append(digest.digest())
    return keys


def values_of(rows: Rows, column: Column) -> list[Any]:
    """
    The values of a column that is a field, the job, the run or a parameter.
    """
    if column.origin == FIELD:
        return rows.values(column.of)
    if column.origin == PARAM:
        return [source.params.get(column.of) for source in rows.sources]
    if column.origin == JOB:
        return [source.job for source in rows.sources]
    return [getattr(source, column.origin) for source in rows.sources]


def _text_of(rows: Rows, place: int, column: Column) -> str | None:
    """
    A text that is the same for equal values, and for those alone.
    """
    if column.origin != FIELD:
        source = rows.sources[place]
        value = (
            source.params.get(column.of)
            if column.origin == PARAM
            else getattr(source, column.origin)
        )
        return None if value is None else json.dumps(value, sort_keys=True)
    value = rows.items[place].get(column.of)
    if value is None:
        return None
    if isinstance(value, float | dict | list):
        # What was read fast may be less exact than its text.
        value = read_carefully(rows.lines[place]).fields.get(column.of)
    if isinstance(value, JsonText):
        return _canonical(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, default=str)
    # What a value does not say of the item is told by the item alone.
    return text if place not in rows.odd else f"{text} {rows.lines[place]!r}"


def _canonical(text: str) -> str:
    try:
        return json.dumps(json.loads(text, parse_int=str, parse_float=str), sort_keys=True)
    except RecursionError:
        return text


class Uniques:
    """
    Tells whether a key came before, with few of them in memory.

    Args:
        folder: for a file of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "keys.sqlite"
        self._recent: set[bytes] = set()
        self._db: sqlite3.Connection | None = None

    def are_first(self, keys: Sequence[bytes | None]) -> list[bool]:
        """
        Whether each key comes for the first time; those that are None always do.
        """
        known = self._spilled(keys)
        answers = []
        for key in keys:
            is_first = key is None or (key not in self._recent and key not in known)
            if is_first and key is not None:
                self._recent.add(key)
            answers.append(is_first)
        if len(self._recent) > MOST_IN_MEMORY:
            self._spill()
        return answers

    def close(self) -> None:
        """
        Forgets all keys.
        """
        self._recent.clear()
        if self._db is not None:
            self._db.close()
            self._db = None
        self._path.unlink(missing_ok=True)

    def _spilled(self, keys: Sequence[bytes | None]) -> set[bytes]:
        if self._db is None:
            return set()
        return {key for (key,) in _found(self._db, "SELECT key FROM keys WHERE key = ?", keys)}

    def _spill(self) -> None:
        if self._db is None:
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
        self._recent.clear()


class Seen:
    """
    The keys of everything that a series ever gave, each with the batch that first gave it.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def are_new(self, keys: Sequence[bytes | None], numbers: Sequence[int]) -> list[bool]:
        """
        Whether no batch with a lower number gave each key; those that are None are always new.
        """
        first = dict(_found(self._db, "SELECT key, number FROM keys WHERE key = ?", keys))
        return [
            key is None or first.get(key, number) >= number
            for key, number in zip(keys, numbers, strict=True)
        ]

    def add(self, keys: Sequence[bytes | None], numbers: Sequence[int]) -> None:
        """
        Records which batch gave each key.
        """
        first: dict[bytes, int] = {}
        for key, number in zip(keys, numbers, strict=True):
            if key is not None:
                first[key] = min(number, first.get(key, number))
        self._db.executemany(
            "INSERT INTO keys VALUES (?, ?) ON CONFLICT (key) DO UPDATE "
            "SET number = excluded.number WHERE excluded.number < number",
            sorted(first.items()),
        )

    def has_batch(self, batch_id: str, fields: Sequence[str]) -> bool:
        """
        Whether the keys of a batch were recorded, as these fields tell items apart.
        """
        query = "SELECT 1 FROM batches WHERE id = ? AND fields = ?"
        return self._db.execute(query, (batch_id, json.dumps(fields))).fetchone() is not None

    def add_batch(self, batch_id: str, fields: Sequence[str]) -> None:
        """
        Records that all keys of a batch are there.
        """
        self._db.execute(
            "INSERT OR IGNORE INTO batches VALUES (?, ?)", (batch_id, json.dumps(fields))
        )


@contextmanager
def seen_by(folder: Path) -> Iterator[Seen]:
    """
    Opens the keys of a series; what was added is kept when all went well.

    Raises:
        NotMerged: they cannot be read or written.
        OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "keys.sqlite"
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECS, isolation_level=None)
        try:
            db.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
            db.executescript(SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            yield Seen(db)
            db.execute("COMMIT")
        finally:
            db.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
            raise NotMerged(
                f"{path}: another process merges a batch of this series; when it has ended, make "
                "this one by: orchestrator collect"
            ) from error
        raise NotMerged(
            f"{path}: the keys of earlier batches cannot be used ({error}); remove the file, and "
            "they are made again from the batches that are there"
        ) from error


def _found(
    db: sqlite3.Connection, query: str, keys: Iterable[bytes | None]
) -> Iterator[tuple[Any, ...]]:
    """
    The rows of those keys that there are; asked in their order, which is that of the file.
    """
    for key in sorted(filter(None, set(keys))):
        row = db.execute(query, (key,)).fetchone()
        if row is not None:
            yield row
