"""
One transaction for each operation, and one commit for each group of them.

A call hands its transaction in at once, in the order of the calls; awaiting it returns when it is
on disk. Transactions that wait meanwhile share one commit. An operation that finds an attempt in
another state than the one it starts from raises `OrchestratorError`: a bug, and nothing is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from string import ascii_lowercase
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from orchestrator.errors import LedgerAway, OrchestratorError
from orchestrator.group_worker import Work, Worker
from orchestrator.ledger.rows import batch_of
from orchestrator.ledger.store import Row, Rows, Store, Undone
from orchestrator.model.attempts import Attempt

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", bound="Transactions")


@dataclass(frozen=True, slots=True)
class AfterCommit(Generic[T]):
    """What is known only after the commit; `value` reads it then."""

    value: Callable[[], T]


WORD_LENGTH = 4
"""How many random letters each process puts into its marks."""


def commit_group(db: Store, group: Sequence[Work]) -> None:
    """
    Performs a group of transactions with one commit; if one fails, each on its own instead.

    The members fail with OutputLost, LedgerCorrupt or BatchHeld when the file or the batch is not
    this process's any more, and with LedgerAway when the server of the ledger is.
    """
    try:
        _commit(db, group)
    except Exception:  # noqa: BLE001 - each of the group is tried again and keeps its own error
        # The rollback has undone all of them, and they change nothing besides the ledger.
        for work in group:
            try:
                _commit(db, [work])
            except Exception as error:  # noqa: BLE001 - carried over to the task that waits
                work.error = error


def _commit(db: Store, group: Sequence[Work]) -> None:
    """One transaction, once: repeated when the connection was lost before it was committed."""
    while True:
        try:
            with db.owned():
                for work in group:
                    work.result = work.perform()
                    work.error = None
            break
        except Undone:
            continue
        except LedgerAway:
            if db.restore():
                break
    try:
        db.confirm()
        for work in group:
            if isinstance(work.result, AfterCommit):
                work.result = work.result.value()
    except OrchestratorError as error:
        # Not performed again: it may have been committed.
        for work in group:
            work.error = error


def transaction(
    method: Callable[Concatenate[L, P], T],
) -> Callable[Concatenate[L, P], Awaitable[T]]:
    """Makes a method a transaction that is handed in when it is called."""

    @wraps(method)
    def submit(self: L, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return self._worker.submit(partial(method, self, *args, **kwargs))

    return submit


def answered_transaction(
    method: Callable[Concatenate[L, P], AfterCommit[T]],
) -> Callable[Concatenate[L, P], Awaitable[T]]:
    """As `transaction`, for a method whose value is known only after the commit."""

    @wraps(method)
    def submit(self: L, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        work = cast("Callable[[], T]", partial(method, self, *args, **kwargs))
        # `commit_group` replaces the value by what it reads.
        return self._worker.submit(work)

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

    def __init__(self, db: Store, worker: Worker) -> None:
        self._db = db
        self._worker = worker
        # Random: process ids repeat, and two machines can have the same one.
        self._owner = secrets.token_hex(8)
        db.own(self._owner)
        self.word = "".join(secrets.choice(ascii_lowercase) for _ in range(WORD_LENGTH))
        self.batch = batch_of(self._execute("select_batch").fetchone())

    @property
    def owner(self) -> str:
        """The name of this process in the ledger."""
        return self._owner

    def leave(self) -> None:
        """From now on, a server that is away is waited for a moment only."""
        self._db.leave()

    def _change(self, query: str, attempt: Attempt, **values: Any) -> None:
        # Statements name the states that they start from: a step out of order changes no row.
        def complaint() -> Exception:
            return OrchestratorError(
                f"{attempt.job.key}, attempt {attempt.number}: {query} does not fit the state "
                "that the ledger holds"
            )

        self._db.change(query, complaint, seq=attempt.job.seq, number=attempt.number, **values)

    def _write(self, query: str, **values: Any) -> None:
        self._db.change(query, None, **values)

    def _ask(self, query: str, **values: Any) -> Callable[[], Row]:
        answer = self._db.ask(query, **values)

        def row() -> Row:
            found = answer()
            assert found is not None  # noqa: S101 - the statement is about a row that is there
            return found

        return row

    def _execute(self, query: str, **values: Any) -> Rows:
        return self._db.query(query, **values)
