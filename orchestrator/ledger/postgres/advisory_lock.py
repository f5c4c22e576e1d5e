"""
One process per batch, on any machine: a lock that the server releases when its holder dies.

The lock is an advisory lock of a session of its own. Its session is named after its holder, so that
other processes can say who holds the batch.
"""

from __future__ import annotations

from contextlib import closing, suppress

import psycopg

from orchestrator.errors import BatchHeld
from orchestrator.ledger.location import Location
from orchestrator.ledger.postgres.connection_rows import statement
from orchestrator.ledger.postgres.deployment import Connection, connect, holder_name
from orchestrator.ledger.postgres.server_errors import translated


class AdvisoryLock:
    """
    Holds a batch until it is released.

    Args:
        command: what the batch is held for.
        is_shared: whether others may hold it that share it, too.

    Raises:
        BatchHeld: another process holds the batch; the message names it.
        LedgerAway: the server cannot be reached.
    """

    def __init__(self, location: Location, command: str, *, is_shared: bool = False) -> None:
        name = "try_share_batch" if is_shared else "try_lock_batch"
        self._connection = connect(location.address, holder_name(command))
        try:
            if not _ask(self._connection, location, name):
                raise BatchHeld(
                    f"{location.folder}: another process holds this batch "
                    f"({_holder(self._connection, location) or 'just started'}); wait until it "
                    "ends, or stop it"
                )
        except BaseException:
            self._connection.close()
            raise

    def release(self) -> None:
        """Releases the batch."""
        unlock(self._connection)


def unlock(connection: Connection) -> None:
    """Ends a session and its locks."""
    with suppress(psycopg.Error):
        # The server notices the end of a session a moment later only.
        connection.execute(statement("unlock_all"))
    connection.close()


def held_for(location: Location) -> str | None:
    """The command for which some process holds a batch; None when none holds it."""
    with closing(connect(location.address)) as connection:
        holder = _holder(connection, location)
    return None if holder is None else holder.rpartition(": ")[2]


def _ask(connection: Connection, location: Location, name: str) -> bool:
    with translated(location.address):
        row = connection.execute(statement(name), _key(location)).fetchone()
    return row is not None and bool(row[0])


def _holder(connection: Connection, location: Location) -> str | None:
    with translated(location.address):
        row = connection.execute(statement("select_holder"), _key(location)).fetchone()
    return None if row is None else f"process {row['holder']}"


def _key(location: Location) -> dict[str, str]:
    return {"schema": location.address.schema, "id": location.batch_id}
