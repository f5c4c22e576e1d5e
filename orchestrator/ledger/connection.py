"""
Opens the SQLite file: pragmas, identity, migrations, transactions.

A file that is not a ledger, is torn, or comes from a newer version is refused and not changed.
Before each group of transactions, a connection checks that the file is still the one that it has
opened, and that no other process drives the batch by now.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from orchestrator.errors import (
    BatchHeld,
    DiskFull,
    LedgerCorrupt,
    LedgerVersionMismatch,
    OutputLost,
    OutputNotWritable,
)
from orchestrator.ledger.schema import APPLICATION_ID, migrations, newest, statements
from orchestrator.ledger.sqlite_errors import refusal, translated
from orchestrator.ledger.sqlite_file import (
    check_pages,
    has_log,
    is_at_rest,
    is_unchanged,
    mark_sound,
    state_of,
)
from orchestrator.ledger.sqlite_statements import statement
from orchestrator.ledger.store import PAUSED_SECS, Complaint, Row


class LedgerConnection(sqlite3.Connection):
    """
    A connection that knows its file.

    Attributes:
        path: of the file.
        state: of the file when this process last wrote it; None before that.
        owners: who may own the batch: the process before this one, and this one.
    """

    path = Path(":memory:")
    state: tuple[int, ...] | None = None
    owners: frozenset[str | None] = frozenset()
    database_errors: tuple[type[Exception], ...] = (sqlite3.DatabaseError,)
    # The next ones gather while a commit flushes the file.
    gather_secs = 0.0

    def query(self, name: str, /, **values: Any) -> sqlite3.Cursor:
        """Executes a named statement of `queries`."""
        sql, in_order = statement(name)
        return self.execute(sql, in_order(values))

    def ask(self, name: str, /, **values: Any) -> Callable[[], Row | None]:
        """Executes a named statement, see `Store`."""
        # All rows at once: a statement that was not read to its end would prevent the commit.
        rows = self.query(name, **values).fetchall()
        return lambda: rows[0] if rows else None

    def change(self, name: str, complaint: Complaint | None, /, **values: Any) -> None:
        """Executes a named statement, see `Store`."""
        if self.query(name, **values).rowcount != 1 and complaint is not None:
            raise complaint()

    def query_many(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Executes a named statement once for each of the rows; returns how many rows changed."""
        sql, in_order = statement(name)
        return self.executemany(sql, map(in_order, rows)).rowcount

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """
        One transaction: committed on leaving, undone on any error.

        Raises:
            DiskFull: there is no room to commit; nothing of the transaction is kept.
            OutputLost, LedgerCorrupt, BatchHeld: this process may not write the file any more.
        """
        with translated(self.path, otherwise=OutputLost):
            # Takes the write lock at once: the owner that is read next still owns it at the commit.
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                # A failed COMMIT (disk full) may or may not have ended the transaction by itself.
                if self.in_transaction:
                    self.execute("ROLLBACK")
                raise

    @contextmanager
    def owned(self) -> Iterator[None]:
        """One transaction, if the file and the batch are still this process's."""
        # Before BEGIN: SQLite writes into a deleted file without an error.
        self.check_file()
        with self.atomic():
            self.check_owner()
            yield

    @contextmanager
    def at_one_instant(self) -> Iterator[None]:
        """All queries within see the same state, without what is committed meanwhile."""
        # A deferred transaction: its first read fixes the state, and the writer is not held up.
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns SQLite's errors that a user can act on into ours."""
        with translated(self.path, otherwise=OutputNotWritable):
            yield

    def own(self, owner: str) -> None:
        """Names this process, before its first transaction."""
        self.owners |= {owner}

    def close(self) -> None:
        """Closes the file; what this process has written is not checked when it is opened again."""
        is_ours = is_unchanged(self.path, self.state)
        super().close()
        if is_ours:
            # The log beside it is part of the file by now.
            mark_sound(self.path)

    def restore(self) -> bool:
        """A file has no connection that could be lost."""
        return False

    def claim(self, wanted: Mapping[str, Any]) -> Callable[[], Row | None]:
        """Not for a file: one process works on its batch."""
        raise NotImplementedError

    def in_turn(self, perform: Callable[[], None]) -> None:
        """Not for a file, either."""
        raise NotImplementedError

    def lease(self, secs: float, paused_secs: float = PAUSED_SECS) -> None:
        """A file has one owner, whose lock is its lease."""

    def end_paused(self) -> None:
        """Nobody else holds a lock."""

    def lease_left(self) -> float:
        """Endless."""
        return math.inf

    def leave(self) -> None:
        """A file is not waited for."""

    def confirm(self) -> None:
        """
        Remembers the file as this process has just written it.

        Raises:
            OutputLost, LedgerCorrupt: as `check_file`; what was written may be lost.
        """
        self.state = self._same_file()

    def check_file(self) -> None:
        """
        Makes sure that the file is still the one that was opened, as this process wrote it.

        Raises:
            OutputLost: it was moved or deleted.
            LedgerCorrupt: another program has replaced or changed it.
        """
        state = self._same_file()
        if state != self.state and self.state is not None:
            # A new time of change alone does no harm: `touch` makes one.
            connect_read_only(self.path).close()
        self.state = state

    def _same_file(self) -> tuple[int, ...]:
        before, state = self.state, state_of(self.path)
        # The log beside the file, the third value, is made by the first transaction.
        if before and (before[:2] != state[:2] or before[2] not in (state[2], 0)):
            raise LedgerCorrupt(
                f"{self.path}: another program has replaced or deleted a file of the ledger while "
                "it was in use; restore it from a copy"
            )
        return state

    def check_owner(self) -> None:
        """
        Makes sure, within a transaction, that no other process has taken over the batch.

        The lock keeps them apart, unless its file is deleted.

        Raises:
            BatchHeld: another process does.
        """
        (owner,) = self.query("select_owner").fetchone()
        if owner not in self.owners:
            raise BatchHeld(
                f"{self.path.parent}: another process has taken this batch over, because the file "
                ".lock was deleted; this one has stopped, and the runs continue"
            )


def create(path: Path) -> LedgerConnection:
    """
    Makes a new ledger file; the folder must exist and the file must not.

    Raises:
        DiskFull, OutputNotWritable: it cannot be made.
    """
    try:
        # SQLite would open an existing file, and write into the ledger of another batch.
        path.touch(exist_ok=False)
    except OSError as error:
        raise refusal(error, path) from error
    connection = _connect(path, "rw")
    with connection.atomic():
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # A process that is killed before this leaves version 0, which is not accepted as a ledger.
    _apply(connection, [newest()])
    return connection


def connect(path: Path) -> LedgerConnection:
    """
    Opens an existing ledger for writing and migrates it to today's schema.

    Raises:
        LedgerCorrupt: the file is torn or not a ledger.
        LedgerVersionMismatch: a newer version has written it.
        OutputNotWritable, OutputLost: the system does not let us open it.
    """
    connection, version = _connect_to_ledger(path, "rw")
    with _closing_on_error(connection):
        _check_pages(connection, path)
        _migrate(connection, version, path)
        with connection.translated():
            row = connection.query("select_owner").fetchone()
            connection.owners = frozenset({row["owner"]} if row else ())
            connection.confirm()
    return connection


def connect_read_only(path: Path) -> LedgerConnection:
    """
    Opens an existing ledger for reading beside a process that writes it.

    A file in a read-only folder or on a full disk has no writer, and is read without locks. A
    ledger of an earlier version is read from a copy in memory that is migrated; the file is not
    changed.

    Raises:
        LedgerCorrupt: the file is torn or not a ledger.
        LedgerVersionMismatch: a newer version has written it.
        DiskFull: a killed process has left commits that only a disk with room lets us read.
    """
    connection, version = _connect_for_reading(path)
    with _closing_on_error(connection):
        _check_pages(connection, path)
        if version < len(migrations()):
            return _migrated_copy(connection, version, path)
    return connection


def connect_briefly(path: Path) -> LedgerConnection:
    """
    Opens a ledger of any version to read its batch; its pages are not checked.

    Raises:
        LedgerCorrupt: the file is not a ledger.
        LedgerVersionMismatch: a newer version has written it.
        DiskFull: as `connect_read_only`.
    """
    connection, _ = _connect_for_reading(path)
    return connection


def _connect_for_reading(path: Path) -> tuple[LedgerConnection, int]:
    """Opens a ledger, and returns its version; without locks where SQLite has no room for them."""
    if not is_at_rest(path):
        try:
            return _connect_to_ledger(path, "ro")
        except DiskFull:
            # A process that writes the file would have made the files for the locks.
            if has_log(path):
                raise
    return _connect_to_ledger(path, "ro&immutable=1")


def _migrated_copy(connection: LedgerConnection, version: int, path: Path) -> LedgerConnection:
    copy = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, factory=LedgerConnection
    )
    with _closing_on_error(copy), closing(connection):
        copy.path = path
        connection.backup(copy)
        copy.row_factory = sqlite3.Row
        _migrate(copy, version, path)
    return copy


def _connect(path: Path, mode: str) -> LedgerConnection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with translated(path, otherwise=OutputNotWritable):
        connection = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10,
            factory=LedgerConnection,
        )
        connection.path = path
        connection.row_factory = sqlite3.Row
        with _closing_on_error(connection):
            if mode == "rw":
                # `status` and `watch` read while this process writes, and a commit is one flush.
                connection.execute("PRAGMA journal_mode = WAL")
            # With NORMAL, a power failure can lose the last commits: the intent of a paid run.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _connect_to_ledger(path: Path, mode: str) -> tuple[LedgerConnection, int]:
    """Opens a file that is a ledger, and returns its version."""
    connection = _connect(path, mode)
    with _closing_on_error(connection):
        return connection, _check_identity(connection, path)


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    with translated(path, otherwise=OutputNotWritable):
        check_pages(connection, path)


def _check_identity(connection: sqlite3.Connection, path: Path) -> int:
    with translated(path, otherwise=OutputNotWritable):
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if identity != APPLICATION_ID or version == 0:
            raise LedgerCorrupt(f"{path}: this is not the ledger of a batch; it is left as it is")
        if version > len(migrations()):
            raise LedgerVersionMismatch(
                f"{path}: this ledger was written by a newer version (schema {version}, this one "
                f"knows {len(migrations())}); it is left as it is: use the newer version"
            )
    return version


def _migrate(connection: LedgerConnection, version: int, path: Path) -> None:
    missing = migrations()[version:]
    if missing:
        with translated(path, otherwise=OutputNotWritable):
            _apply(connection, missing)


def _apply(connection: LedgerConnection, scripts: Sequence[str]) -> None:
    """Executes scripts after which the file has the newest version."""
    # All at once, because each commit waits for the disk; they commit with their record, or not.
    with connection.atomic():
        for sql in scripts:
            for each in statements(sql):
                connection.execute(each)
        connection.execute(f"PRAGMA user_version = {len(migrations())}")


@contextmanager
def _closing_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
