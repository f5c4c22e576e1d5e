"""
A session at the server that keeps the ledger of a batch.

A write that meets a lost connection is repeated after the next one is made, unless the server shows
that it was committed: each process numbers its transactions in a row of its own. That row also
fences a process off whose batch another one has taken over.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from orchestrator.backoff import pause_secs
from orchestrator.errors import BatchDeleted, BatchHeld, BatchNotFound, LedgerAway
from orchestrator.event_log import LOG
from orchestrator.ledger.location import Location
from orchestrator.ledger.postgres.connection_rows import NamedRow, sendable, statement
from orchestrator.ledger.postgres.deployment import Connection, check_version, connect, migrate
from orchestrator.ledger.postgres.pending_changes import Change, Claims
from orchestrator.ledger.postgres.server_errors import translated
from orchestrator.ledger.store import PAUSED_SECS, Complaint, LeaseLost, Rows, Undone

PAUSE_SECS = 0.2
LONGEST_PAUSE_SECS = 5.0
READING_SECS = 10.0
"""How long a reader waits for a server that is away: it may be in the event loop."""
# It also runs while the machine sleeps; macOS has no other that does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LEAVING_SECS = 3.0
"""How long a process waits for the server that is about to end."""


class PostgresSession:
    """
    See `Store`.

    Args:
        location: of the batch; it need not exist yet.
        writes: whether the schema may be migrated, and the batch written.
    """

    # `query` reads all rows at once, and translates its errors.
    database_errors: tuple[type[Exception], ...] = ()
    # A commit takes three messages and two answers, however many transactions it has.
    gather_secs = 0.002

    def __init__(self, location: Location, *, writes: bool) -> None:
        self._location = location
        self._writes = writes
        self._owner: str | None = None
        self._is_enlisted = False
        self._commits = 0
        self._changes: list[Change] = []
        self._claims = Claims()
        self._lease_secs = 0.0
        self._paused_secs = PAUSED_SECS
        self._leased_until = 0.0
        self._is_in_transaction = False
        self._is_leaving = threading.Event()
        self._has_given_up = False
        self._identity: tuple[int, str] | None = None
        self._connection = self._connect()

    @property
    def location(self) -> Location:
        """Where the ledger is."""
        return self._location

    def query(self, name: str, /, **values: Any) -> Rows:
        """Executes a named statement of `queries`."""
        try:
            return self._send(Change(name, values))
        except LedgerAway:
            # A read changes nothing. Within a transaction, what was read before may not fit.
            if self._writes or self._is_in_transaction:
                raise
        self.restore()
        return self._send(Change(name, values))

    def ask(self, name: str, /, **values: Any) -> Callable[[], NamedRow | None]:
        """Executes a named statement together with the next one, see `Store`."""
        asked = Change(name, values)
        self._changes.append(asked)
        return lambda: asked.read().fetchone()

    def change(self, name: str, complaint: Complaint | None, /, **values: Any) -> None:
        """Executes a named statement together with the next one, see `Store`."""
        self._changes.append(Change(name, values, complaint))

    def query_many(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Executes a named statement once for each of the rows; returns how many rows changed."""
        if self._changes:
            self._send()
        with translated(self._location.address), self._connection.cursor() as cursor:
            cursor.executemany(statement(name), (sendable(dict(row)) for row in rows))
            return cursor.rowcount

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """One transaction, see `Store`."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def owned(self) -> Iterator[None]:
        """One transaction, if the batch is still this process's, see `Store`."""
        # By the time before the server has counted from its own.
        leased_until = time.clock_gettime(CLOCK) + self._lease_secs
        # Before BEGIN, which may fail: the number of an earlier transaction would look committed.
        self._commits += 1
        with self._transaction():
            if not self._is_enlisted:
                self.query("insert_writer", owner=self._owner)
            # First of all: this row is locked until the commit, so nobody takes over in between.
            values = {"owner": self._owner, "commits": self._commits}
            self.change("note_commit", self._taken_over, lease_secs=self._lease_secs, **values)
            yield
        self._is_enlisted = True
        self._leased_until = leased_until

    def claim(self, wanted: Mapping[str, Any]) -> Callable[[], NamedRow | None]:
        """Claims a job as the last step of the transaction, see `Store`."""
        return self._claims.add(wanted)

    def in_turn(self, perform: Callable[[], None]) -> None:
        """Performs something while no other process may claim, see `Store`."""
        self._claims.in_turn.append(perform)

    def confirm(self) -> None:
        """Nothing to do: what the server has committed is there."""

    def own(self, owner: str) -> None:
        """Names this process, before its first transaction."""
        self._owner = owner

    def restore(self) -> bool:
        """Connects again, see `Store`."""
        patience_secs = self._location.away_secs if self._writes else READING_SECS
        began, tries = time.monotonic(), 0
        lost = self._identity
        while True:
            try:
                self._connection.close()
                self._connection = self._connect()
                is_committed = self._has_committed(lost)
            except LedgerAway as error:
                self._wait(error, began, patience_secs, tries)
                tries += 1
            else:
                break
        LOG.info("ledger_back", away_secs=round(time.monotonic() - began, 1))
        return is_committed

    def lease(self, secs: float, paused_secs: float = PAUSED_SECS) -> None:
        """Asks for a lease that each transaction with `owned` renews, see `Store`."""
        self._lease_secs, self._paused_secs = secs, paused_secs
        self.query("limit_waits", **self._waits)

    def end_paused(self) -> None:
        """Ends the sessions of paused processes whose leases have expired, see `Store`."""
        self.query("end_paused", secs=self._paused_secs, owner=self._owner)

    def lease_left(self) -> float:
        """How many seconds the lease lasts, at least."""
        return self._leased_until - time.clock_gettime(CLOCK) if self._lease_secs else math.inf

    def leave(self) -> None:
        """From now on, a server that is away is waited for a moment only."""
        self._is_leaving.set()

    @contextmanager
    def at_one_instant(self) -> Iterator[None]:
        """All queries within see the same state, without what is committed meanwhile."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            yield

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the errors of the database that a user can act on into ours."""
        with translated(self._location.address):
            yield

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self, begin: str = "") -> Iterator[None]:
        """One transaction; without `begin`, it begins together with its first statement."""
        address = self._location.address
        if begin:
            self._begin(begin)
        else:
            self._changes = [Change("begin", {})]
        self._is_in_transaction = True
        self._claims = Claims()
        try:
            with translated(address):
                yield
                self._commit()
        except BaseException as error:
            with suppress(psycopg.Error):
                self._connection.execute(b"ROLLBACK")
                if isinstance(error, Undone):
                    # It may have waited for a process that is paused.
                    values = {"secs": self._paused_secs, "owner": None}
                    self._connection.execute(statement("end_paused"), values)
            raise
        finally:
            self._is_in_transaction = False
            self._changes = []

    def _begin(self, begin: str) -> None:
        try:
            with translated(self._location.address):
                self._connection.execute(begin.encode())
        except LedgerAway:
            # Nothing has been done yet, so a reader may begin again.
            if self._writes:
                raise
            self.restore()
            with translated(self._location.address):
                self._connection.execute(begin.encode())

    def _send(self, *last: Change) -> psycopg.Cursor[NamedRow]:
        """Sends what was not sent yet, in one message; returns the answer to the last of it."""
        changes, self._changes = [*self._changes, *last], []
        with translated(self._location.address):
            if len(changes) == 1:
                changes[0].execute(self._connection)
            else:
                with self._connection.pipeline():
                    for change in changes:
                        change.execute(self._connection)
        for change in changes:
            if change.complaint is not None and change.read().rowcount != 1:
                raise change.complaint()
        return changes[-1].read()

    def _commit(self) -> None:
        claims = self._claims
        if self._changes:
            self._send()
        if claims.in_turn:
            self.query("await_turn")
            for perform in claims.in_turn:
                perform()
        if not claims.wanted:
            self._connection.execute(b"COMMIT")
            return
        values = {"owner": self._owner, **claims.values()}
        # In one message: meanwhile others wait for the server alone, and not for this process. They
        # need not wait for the disk either: it is only starts that must.
        with self._connection.pipeline():
            self._connection.execute(statement("await_claims"), prepare=True)
            answers = self._connection.execute(statement("claim_jobs"), values, prepare=True)
            self._connection.execute(b"COMMIT")
            self._connection.execute(statement("flush"), prepare=True)
        claims.answers = answers.fetchall()

    def _connect(self) -> Connection:
        # As a whole: the server may end the session after any of these statements.
        with translated(self._location.address):
            connection = connect(self._location.address)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        """Brings the schema up to date, and chooses the batch."""
        if self._writes:
            migrate(connection, self._location.address)
            # An intent must be on the server's disk before its start is sent.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
            if self._lease_secs:
                connection.execute(statement("limit_waits"), self._waits)
            row = connection.execute(statement("select_session")).fetchone()
            self._identity = None if row is None else (row["pid"], row["began"])
        else:
            check_version(connection, self._location.address)
        values = {"id": self._location.batch_id}
        self.is_new = connection.execute(statement("choose_batch"), values).rowcount == 0
        if self.is_new and not self._writes:
            raise self._not_found(connection)

    @property
    def _waits(self) -> dict[str, str]:
        """How long a transaction of a process with a lease waits for the locks of others."""
        return {"millis": str(int(self._paused_secs * 1000))}

    def not_found(self) -> BatchNotFound:
        """The error for a batch that the server does not have."""
        with translated(self._location.address):
            return self._not_found(self._connection)

    def _not_found(self, connection: Connection) -> BatchNotFound:
        where = self._location
        values = {"id": where.batch_id}
        deleted = connection.execute(statement("select_deleted"), values).fetchone()
        if deleted is not None:
            return BatchDeleted(
                f"{where.folder}: its batch was deleted from {where.address.url} at "
                f"{deleted['deleted_at']} UTC; `orchestrator prune` removes the folder too"
            )
        return BatchNotFound(
            f"{where.folder}: {where.address.url} has no ledger of the batch {where.batch_id}: it "
            "was deleted, or the setting `ledger` names another server or schema"
        )

    def _has_committed(self, lost: tuple[int, str] | None) -> bool:
        """Whether the transaction that was interrupted has been committed after all."""
        if self._owner is None or self._commits == 0:
            return False
        with translated(self._location.address):
            if lost is not None:
                # It may still hold its locks, and could commit later than we look.
                values = {"pid": lost[0], "began": lost[1]}
                self._connection.execute(statement("end_session"), values)
            self._connection.execute(b"BEGIN")
            values = {"owner": self._owner}
            row = self._connection.execute(statement("select_writer"), values).fetchone()
            self._connection.execute(b"COMMIT")
            # The commit that is found may not be on disk yet.
            self._connection.execute(statement("flush"))
        self._is_enlisted = row is not None
        if row is not None and row["is_fenced"]:
            raise self._taken_over()
        return row is not None and bool(row["commits"] == self._commits)

    def _wait(self, error: LedgerAway, began: float, patience_secs: float, tries: int) -> None:
        """Waits before the next try; raises the error when it has been long enough."""
        if self._is_leaving.is_set():
            patience_secs = min(patience_secs, LEAVING_SECS)
        waited = time.monotonic() - began
        if self._has_given_up or waited >= patience_secs:
            self._has_given_up = True
            error.was_awaited = self._writes
            raise error
        if tries == 0:
            LOG.warning("ledger_away", error=str(error), waiting_secs=round(patience_secs))
        pause = pause_secs(tries, first_secs=PAUSE_SECS, longest_secs=LONGEST_PAUSE_SECS)
        time.sleep(min(pause, patience_secs - waited))

    def _taken_over(self) -> BatchHeld:
        if self._lease_secs:
            return LeaseLost(
                f"{self._location.folder}: the lease of this process has expired, and another one "
                "has taken its runs"
            )
        return BatchHeld(
            f"{self._location.folder}: another process has taken this batch over; this one has "
            "stopped, and the runs continue"
        )
