"""
One transaction for each operation, and one commit for each group of them.

A call hands its transaction in at once, in the order of the calls; awaiting it returns when it is
on disk. Transactions that wait meanwhile share one commit. An operation that finds an attempt in
another state than the one it starts from raises `OrchestratorError`: a bug, and nothing is written.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from string import ascii_lowercase
from typing import Any, Concatenate, ParamSpec, TypeVar

from orchestrator.errors import OrchestratorError
from orchestrator.group_worker import Work, Worker
from orchestrator.ledger import connection as sqlite
from orchestrator.ledger.rows import batch_of
from orchestrator.model.attempts import Attempt

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", bound="Transactions")

WORD_LENGTH = 4
"""How many random letters each process puts into its marks."""


def commit_group(db: sqlite.LedgerConnection, group: Sequence[Work]) -> None:
    """
    Performs a group of transactions with one commit; if one fails, each on its own instead.

    The members fail with OutputLost, LedgerCorrupt or BatchHeld when the file or the batch is not
    this process's any more.
    """
    try:
        with _of_this_process(db):
            for work in group:
                work.result = work.perform()
                work.error = None
    except Exception:  # noqa: BLE001 - each of the group is tried again and keeps its own error
        # The rollback has undone all of them, and they change nothing besides the ledger.
        for work in group:
            _commit_alone(db, work)
    else:
        _note_state(db, group)


@contextmanager
def _of_this_process(db: sqlite.LedgerConnection) -> Iterator[None]:
    """One transaction, if the file is still the one that was opened and the batch still ours."""
    # Before BEGIN: SQLite writes into a deleted file without an error.
    db.check_file()
    with sqlite.atomic(db):
        db.check_owner()
        yield


def _note_state(db: sqlite.LedgerConnection, group: Sequence[Work]) -> None:
    """Remembers the file after a commit; in a file that was replaced, the commit is lost."""
    try:
        db.note_state()
    except OrchestratorError as error:
        # Not performed again: it may have been committed.
        for work in group:
            work.error = error


def _commit_alone(db: sqlite.LedgerConnection, work: Work) -> None:
    try:
        with _of_this_process(db):
            work.result = work.perform()
            work.error = None
    except Exception as error:  # noqa: BLE001 - carried over to the task that waits
        work.error = error
    else:
        _note_state(db, [work])


def transaction(
    method: Callable[Concatenate[L, P], T],
) -> Callable[Concatenate[L, P], Awaitable[T]]:
    """Makes a method a transaction that is handed in when it is called."""

    @wraps(method)
    def submit(self: L, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self._worker.submit(partial(method, self, *args, **kwargs))

    return submit


class Transactions:
    """
    The ledger of one batch, for the one process that holds it.

    Args:
        db: from `open_ledger`; used in the worker's thread only.
        worker: performs groups by `commit_group`.

    Attributes:
        word: random letters of this process, in each of its marks.
    """

    def __init__(self, db: sqlite.LedgerConnection, worker: Worker) -> None:
        self._db = db
        self._worker = worker
        # Random: process ids repeat, and two machines can have the same one.
        self._owner = secrets.token_hex(8)
        db.owners |= {self._owner}
        self.word = "".join(secrets.choice(ascii_lowercase) for _ in range(WORD_LENGTH))
        self.batch = batch_of(self._execute("select_batch").fetchone())

    def _change(self, query: str, attempt: Attempt, **values: Any) -> None:
        cursor = self._execute(query, seq=attempt.job.seq, number=attempt.number, **values)
        # Statements name the states that they start from: a step out of order changes no row.
        if cursor.rowcount != 1:
            raise OrchestratorError(
                f"{attempt.job.key}, attempt {attempt.number}: {query} does not fit the state "
                "that the ledger holds"
            )

    def _execute(self, query: str, **values: Any) -> sqlite3.Cursor:
        return self._db.query(query, **values)
