"""
What the ledger needs of a database: rows, named statements, transactions.

SQLite and PostgreSQL each have a class that does this. Everything else in the ledger is written
once, for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from orchestrator.errors import BatchHeld, LedgerAway

PAUSED_SECS = 20.0
"""Who holds a lock at the server for so long, and says nothing, is paused or dead."""


class LeaseLost(BatchHeld):
    """The lease of this process has expired, and another one has taken its attempts."""


class BatchMade(BatchHeld):
    """Another call has made the batch of an occurrence, since this one looked for it."""


class Undone(LedgerAway):
    """
    The database has undone a transaction, which can be repeated at once.

    It and another one waited for each other, or it waited for a lock for too long.
    """


class Row(Protocol):
    """A row, by the names of its columns or by their places."""

    def __getitem__(self, key: Any, /) -> Any:
        """The value of a column."""
        ...

    def keys(self) -> Any:
        """The names of the columns."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The values of the columns, in their order."""
        ...


class Rows(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """The next `Row`; None after the last one."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that were not read yet."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows, as a stream."""
        ...


SLICE_JOBS = 20_000
"""
So many jobs are changed, or counted by groups, in one statement: until its end, SQLite keeps what
was there before, or sorts them, and that in memory.
"""

Complaint = Callable[[], Exception]
"""Makes the error that says which step was out of order."""


class Store(Protocol):
    """
    A connection to the ledger of one batch.

    Attributes:
        database_errors: what reading rows may raise, which `translated` turns into ours.
        gather_secs: how long a commit should wait for other transactions of this process.
    """

    database_errors: tuple[type[Exception], ...]
    gather_secs: float

    def query(self, name: str, /, **values: Any) -> Rows:
        """Executes a named statement of `queries`."""
        ...

    def ask(self, name: str, /, **values: Any) -> Callable[[], Row | None]:
        """Executes a named statement whose answer, of one row, is read after the commit."""
        ...

    def change(self, name: str, complaint: Complaint | None, /, **values: Any) -> None:
        """
        Executes a named statement whose answer is not read, before the next one at the latest.

        Args:
            complaint: the error to raise, by the end of the transaction, unless one row changes;
                None for any number of rows.
        """
        ...

    def query_many(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Executes a named statement once for each of the rows; returns how many rows changed."""
        ...

    def atomic(self) -> AbstractContextManager[None]:
        """
        One transaction: committed on leaving, undone on any error.

        Raises:
            DiskFull: there is no room to commit; nothing of the transaction is kept.
            LedgerAway: the connection was lost; what was done may be committed.
        """
        ...

    def owned(self) -> AbstractContextManager[None]:
        """
        One transaction, if the batch is still this process's.

        Raises:
            OutputLost, LedgerCorrupt, BatchHeld: it is not; nothing is written.
            LedgerAway: as `atomic`.
        """
        ...

    def claim(self, wanted: Mapping[str, Any]) -> Callable[[], Row | None]:
        """
        Claims a job as the last step of the transaction; one statement does that for all claims.

        So what every process has to lock for a claim is locked for the shortest time.

        Args:
            wanted: a row of `claim_jobs`.

        Returns:
            gives the answer, after the commit; None when it was lost with the connection.
        """
        ...

    def in_turn(self, perform: Callable[[], None]) -> None:
        """Performs something at the end of the transaction, while no other process may claim."""
        ...

    def confirm(self) -> None:
        """
        Makes sure, after a commit, that what was written is where other processes see it.

        Raises:
            OutputLost, LedgerCorrupt: it may be lost.
        """
        ...

    def restore(self) -> bool:
        """
        Connects again after `LedgerAway`, and waits for the server as long as it may.

        Returns:
            whether the transaction that was interrupted has been committed.

        Raises:
            LedgerAway: the server was away for too long.
            BatchHeld: meanwhile another process has taken the batch over.
        """
        ...

    def own(self, owner: str) -> None:
        """Names this process, before its first transaction with `owned`."""
        ...

    def lease(self, secs: float, paused_secs: float = PAUSED_SECS) -> None:
        """
        Asks for a lease that each transaction with `owned` renews.

        Args:
            paused_secs: after so long, a process that others wait for counts as paused.
        """
        ...

    def end_paused(self) -> None:
        """Ends the sessions of paused processes whose leases have expired, but not their locks."""
        ...

    def lease_left(self) -> float:
        """How many seconds the lease lasts, on a clock that also runs while the machine sleeps."""
        ...

    def leave(self) -> None:
        """From now on, a server that is away is waited for a moment only."""
        ...

    def at_one_instant(self) -> AbstractContextManager[None]:
        """All queries within see the same state, without what is committed meanwhile."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Turns the errors of the database that a user can act on into ours."""
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


def slices(db: Store) -> Iterator[tuple[int, int]]:
    """The jobs of a batch in parts, as the first place in the spec and the one after the last."""
    last = db.query("select_last_seq").fetchone()["seq"]
    for first in range(0, last + 1, SLICE_JOBS):
        yield first, first + SLICE_JOBS
