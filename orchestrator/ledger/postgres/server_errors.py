"""Turns psycopg's errors into ours, which say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from orchestrator.errors import (
    ConfigError,
    DiskFull,
    LedgerAway,
    LedgerVersionMismatch,
    OrchestratorError,
    OutputNotWritable,
)
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.store import Undone
from orchestrator.safe_text import one_line

LONGEST = 300

TRANSACTION_ROLLBACK = "40"
"""The class of the codes of deadlocks and the like."""

REFUSED_LOGIN = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # This process was paused within a transaction.
    errors.IdleInTransactionSessionTimeout,
    # A server that has become a replica refuses to write until clients find the new primary.
    errors.ReadOnlySqlTransaction,
)
CHANGED = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
"""How the server answers statements that were right when this process connected."""
LOGIN_WORDS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "definition of service",
    "invalid connection option",
    "invalid URI",
    "invalid percent-encoded token",
    "invalid sslmode",
)
"""How libpq says at a connection that waiting does not help; it has no code for that."""


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Turns psycopg's errors that a user can act on into ours; others are bugs."""
    try:
        yield
    except psycopg.Error as error:
        meaning = _meaning(error, address)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: psycopg.Error, address: Address) -> OrchestratorError | None:
    said = one_line(str(error), LONGEST)
    if isinstance(error, errors.DiskFull):
        return DiskFull(
            f"{address.url}: the disk of the server that holds the ledger is full: make room, then "
            "resume the batch"
        )
    if isinstance(error, REFUSED_LOGIN) or _is_refused_login(error, said):
        return ConfigError(
            f"{address.url}: the server of the ledger refuses the connection ({said}): correct the "
            "setting `ledger`, PGPASSFILE or the service file"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return OutputNotWritable(
            f"{address.url}: the user of the ledger may not do that ({said}): grant it the schema "
            f"{address.schema!r}, or the right to create it"
        )
    if isinstance(error, CHANGED):
        return LedgerVersionMismatch(
            f"{address.url}: the schema {address.schema!r} was deleted, or updated by a newer "
            f"version, while this process used it ({said}): use the newer version everywhere, then "
            "resume the batch"
        )
    is_undone = (error.sqlstate or "").startswith(TRANSACTION_ROLLBACK)
    if is_undone or isinstance(error, errors.LockNotAvailable):
        return Undone(f"{address.url}: the server of the ledger has undone a change ({said})")
    if isinstance(error, AWAY):
        return LedgerAway(f"{address.url}: the server of the ledger cannot be reached ({said})")
    return None


def _is_refused_login(error: psycopg.Error, said: str) -> bool:
    # libpq reads the URL itself; what it does not understand is the other kind of error.
    kinds = (psycopg.OperationalError, psycopg.ProgrammingError)
    is_connecting = isinstance(error, kinds) and error.sqlstate is None
    return is_connecting and any(words in said for words in LOGIN_WORDS)
