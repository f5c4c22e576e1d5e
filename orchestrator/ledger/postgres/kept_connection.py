"""
Keeps the connection of a session that has ended for a moment, for the next session.

A command that drives a batch has twenty sessions, most of them for one question. To connect takes
several round trips, often a TLS handshake, and a process of the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.deployment import Connection, connect

KEPT_SECS = 2.0
"""Longer than between two sessions of a start or an end; a batch under way keeps no connection."""


class _Keeper:
    """Holds one connection at most, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Address, Connection, threading.Timer] | None = None

    def take(self, address: Address) -> Connection | None:
        """The connection, if it is to this address."""
        with self._lock:
            if self._held is None or self._held[0] != address:
                return None
            _, connection, timer = self._held
            self._held = None
        timer.cancel()
        return connection

    def put(self, address: Address, connection: Connection) -> None:
        """Holds a connection in place of the one before."""
        timer = threading.Timer(KEPT_SECS, self._expire, [connection])
        timer.daemon = True
        with self._lock:
            before, self._held = self._held, (address, connection, timer)
        timer.start()
        if before is not None:
            before[2].cancel()
            before[1].close()

    def _expire(self, connection: Connection) -> None:
        with self._lock:
            if self._held is None or self._held[1] is not connection:
                return
            self._held = None
        connection.close()


_keeper = _Keeper()


def reach(address: Address) -> None:
    """Connects anew, and keeps the connection for the first session; raises as `connect`."""
    keep(address, connect(address))


def connect_or_reuse(address: Address) -> Connection:
    """The connection that was kept, with the settings of its start, or a new one, as `connect`."""
    connection = _keeper.take(address)
    if connection is None:
        return connect(address)
    try:
        # It also shows whether the server is still there.
        connection.execute(b"RESET ALL")
    except psycopg.Error:
        connection.close()
        return connect(address)
    return connection


def keep(address: Address, connection: Connection) -> None:
    """Keeps the connection of a session that has ended, or closes it if it cannot be used again."""
    is_idle = False
    with suppress(psycopg.Error):
        is_idle = connection.info.transaction_status == TransactionStatus.IDLE
    if is_idle:
        _keeper.put(address, connection)
    else:
        connection.close()


@contextmanager
def brief_connection(address: Address) -> Iterator[Connection]:
    """A connection for a question; raises as `connect`."""
    connection = connect_or_reuse(address)
    try:
        yield connection
    finally:
        keep(address, connection)
