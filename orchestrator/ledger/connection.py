"""
Opens the SQLite file: pragmas, identity, migrations, transactions.

A file that is not a ledger, is torn, or comes from a newer version is refused and left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

from orchestrator.errors import DiskFull, LedgerCorrupt, LedgerVersionMismatch

APPLICATION_ID = 0x6F726368
_sound: set[tuple[int, ...]] = set()

FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""
How SQLite says that a disk is full, depending on which file it was about to grow.
"""
"""
`orch` in ASCII: tells our files from other SQLite files.
"""


@cache
def migrations() -> tuple[str, ...]:
    """
    The SQL of each schema version, the first one at index 0.
    """
    folder = files("orchestrator.ledger").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(folder.joinpath(name).read_text("utf-8") for name in names)


@cache
def queries() -> Mapping[str, str]:
    """
    The named statements of `queries.sql`.
    """
    text = files("orchestrator.ledger").joinpath("queries.sql").read_text("utf-8")
    blocks = text.split("-- name: ")[1:]
    return {name.strip(): sql.strip() for name, sql in (b.split("\n", 1) for b in blocks)}


def create(path: Path) -> sqlite3.Connection:
    """
    Makes a new ledger file; the folder must exist and the file must not.
    """
    path.touch(exist_ok=False)
    connection = _connect(path, "rw")
    with atomic(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    _migrate(connection, 0)
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """
    Opens an existing ledger for writing and brings its schema up to date.

    Raises:
        LedgerCorrupt: the file is torn or not a ledger.
        LedgerVersionMismatch: it comes from a newer version.
    """
    connection = _connect(path, "rw")
    with _closing_on_error(connection):
        _migrate(connection, _check(connection, path))
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """
    Opens an existing ledger for reading beside a process that writes it.

    In a folder that cannot be written nobody writes either, and the file is read as it stands.
    A ledger of an earlier version is read from a copy in memory with today's schema; the file stays
    as it is.

    Raises:
        LedgerCorrupt: the file is torn or not a ledger.
        LedgerVersionMismatch: it comes from a newer version.
    """
    connection = _connect(path, "ro&immutable=1" if _is_at_rest(path) else "ro")
    with _closing_on_error(connection):
        version = _check(connection, path)
        if version < len(migrations()):
            return _migrated_copy(connection, version)
    return connection


def _migrated_copy(connection: sqlite3.Connection, version: int) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with _closing_on_error(copy), closing(connection):
        connection.backup(copy)
        copy.row_factory = sqlite3.Row
        _migrate(copy, version)
    return copy


@contextmanager
def atomic(connection: sqlite3.Connection) -> Iterator[None]:
    """
    One transaction: committed on leaving, undone on any error.

    Raises:
        DiskFull: there is no room to commit; nothing of the transaction is kept.
    """
    with translated():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A failed COMMIT (disk full) may or may not have ended the transaction by itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated() -> Iterator[None]:
    """
    Turns SQLite's errors that a user can act on into ours.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in FULL:
            raise DiskFull(
                "the disk that holds the ledger is full: make room, then resume the batch"
            ) from error
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10
        )
    except sqlite3.OperationalError as error:
        raise LedgerCorrupt(f"{path}: the ledger cannot be opened: {error}") from error
    connection.row_factory = sqlite3.Row
    with _closing_on_error(connection), _refused_if_foreign(path):
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _is_at_rest(path: Path) -> bool:
    """
    Whether SQLite could not make the files beside a ledger that it needs to read one in use.

    Raises:
        LedgerCorrupt: the last commits are in the file beside it alone.
    """
    wal, index = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
    if os.access(index, os.F_OK) or os.access(path.parent, os.W_OK, effective_ids=True):
        return False
    if os.access(wal, os.F_OK) and wal.stat().st_size:
        raise LedgerCorrupt(
            f"{path}: its process was killed, and what it wrote last cannot be read in a folder "
            "that cannot be written: copy the folder to where it can be"
        )
    return True


def _check(connection: sqlite3.Connection, path: Path) -> int:
    with _refused_if_foreign(path):
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if identity != APPLICATION_ID or version == 0:
            raise LedgerCorrupt(f"{path}: this is no ledger of a batch; it is left as it is")
        if version > len(migrations()):
            raise LedgerVersionMismatch(
                f"{path}: this ledger was written by a newer version (schema {version}, this one "
                f"knows {len(migrations())}); it is left as it is: use the newer version"
            )
        _check_pages(connection, path)
    return version


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """
    Reads a whole file, but not again while this process has seen it sound and it is the same.
    """
    stat = path.stat()
    state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if state in _sound:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LedgerCorrupt(
            f"{path}: the ledger is damaged ({verdict}); it is left as it is: "
            "restore it from a copy"
        )
    _sound.add(state)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, sql in enumerate(migrations()[version:], start=version + 1):
        with atomic(connection):
            for statement in _statements(sql):
                connection.execute(statement)
            # In the same transaction: a migration and its record stand or fall together.
            connection.execute(f"PRAGMA user_version = {number}")


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _closing_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def _refused_if_foreign(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise LedgerCorrupt(
            f"{path}: the ledger cannot be read ({error}); it is left as it is"
        ) from error
