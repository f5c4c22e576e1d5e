"""
Connects to the server of a deployment and brings its schema up to date.

Migrations only go forward. An advisory lock lets one process at a time migrate, and each migration
commits together with its number. A schema of a newer version is refused and not changed.
"""

from __future__ import annotations

import logging
import os
import platform
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.errors import LedgerVersionMismatch, OutputNotWritable
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.connection_rows import NamedRow, NumberOfBool, named_rows
from orchestrator.ledger.postgres.server_errors import translated
from orchestrator.ledger.postgres.watched_connection import WatchedConnection
from orchestrator.ledger.queries import Dialect
from orchestrator.ledger.schema import migrations
from orchestrator.ledger.store import PAUSED_SECS

Connection = psycopg.Connection[NamedRow]

CONNECT_SECS = 10
DEAD_MILLISECONDS = int(PAUSED_SECS * 1000)
"""After so long without an answer, both sides give a connection up."""
# The server must learn soon that a client is dead or paused, because it keeps its locks until then.
# It does not notice all that are paused: psycopg flushes at the end of each pipeline, and a flush
# stops the clock of the transaction. Whoever waits for such a lock ends the session, see `Undone`.
SERVER_OPTIONS = (
    f"-c client_min_messages=warning -c lock_timeout={DEAD_MILLISECONDS} "
    "-c tcp_keepalives_idle=10 "
    "-c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 "
    f"-c tcp_user_timeout={DEAD_MILLISECONDS} "
    f"-c idle_in_transaction_session_timeout={DEAD_MILLISECONDS}"
)
LONGEST_NAME = 63


def connect(address: Address, purpose: str = "") -> Connection:
    """
    Opens a connection, in autocommit mode, whose search path is the schema of the deployment.

    Args:
        purpose: what `pg_stat_activity` shows of it, and other processes read.

    Raises:
        LedgerAway: the server cannot be reached.
        ConfigError: the URL is not valid, the server refuses the user, or does not store text as
            UTF-8.
    """
    with translated(address):
        given: dict[str, Any] = conninfo_to_dict(address.conninfo)
    options = f"{given.pop('options', '') or ''} {SERVER_OPTIONS}".strip()
    values = {
        "connect_timeout": CONNECT_SECS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": DEAD_MILLISECONDS,
        **given,
        "application_name": purpose or "orchestrator",
        "client_encoding": "UTF8",
        "options": f"{options} -c search_path={address.schema}",
    }
    logger = logging.getLogger("psycopg")
    if not logger.handlers:
        # Otherwise its warnings of lost connections, which we report ourselves, go to stderr.
        logger.addHandler(logging.NullHandler())
    conninfo = make_conninfo(**values)
    with translated(address):
        connection = WatchedConnection.connect(conninfo, autocommit=True, row_factory=named_rows)
    connection.adapters.register_dumper(bool, NumberOfBool)
    silent_milliseconds = int(values["tcp_user_timeout"]) or DEAD_MILLISECONDS
    connection.watch(conninfo, silent_milliseconds / 1000)
    return connection


def reach(address: Address) -> None:
    """Connects once, and closes the connection; raises as `connect`."""
    connect(address).close()


def holder_name(command: str) -> str:
    """What other processes are shown of a process that holds a batch."""
    name = f"{os.getpid()} on {platform.node()[:30]}: {command}"
    return name[:LONGEST_NAME]


def check_version(connection: Connection, address: Address) -> None:
    """
    Refuses a schema that this version cannot read.

    Raises:
        LedgerVersionMismatch: it is of another version.
    """
    version, known = _version(connection, address), len(migrations(Dialect.POSTGRES))
    if version > known:
        raise _newer(address, version)
    if version < known:
        raise LedgerVersionMismatch(
            f"{address.url}: the schema {address.schema!r} is of version {version}, and this "
            f"program needs {known}: run a command that writes, such as `run` or `resume`, once "
            "with this version"
        )


def migrate(connection: Connection, address: Address) -> None:
    """
    Brings the schema up to date, and makes it if there is none.

    Raises:
        LedgerVersionMismatch: a newer version has made it.
        OutputNotWritable: the user may not do that.
    """
    if _version(connection, address) == len(migrations(Dialect.POSTGRES)):
        return
    schema = sql.Identifier(address.schema)
    with translated(address), connection.transaction():
        # Held until the commit. Two processes of two versions begin at the same time, too.
        connection.execute("SET LOCAL lock_timeout = 0")
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"orchestrator schema {address.schema}"],
        )
        _check_encoding(connection, address)
        if not _has_schema(connection, address):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations ("
            "version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        version = _version(connection, address)
        for number, script in enumerate(migrations(Dialect.POSTGRES)[version:], start=version + 1):
            connection.execute(script.encode())
            connection.execute("INSERT INTO migrations (version) VALUES (%s)", [number])


def _version(connection: Connection, address: Address) -> int:
    with translated(address):
        row = connection.execute("SELECT to_regclass('migrations')").fetchone()
        if row is None or row[0] is None:
            return 0
        row = connection.execute("SELECT COALESCE(MAX(version), 0) FROM migrations").fetchone()
    version = 0 if row is None else int(row[0])
    if version > len(migrations(Dialect.POSTGRES)):
        raise _newer(address, version)
    return version


def _newer(address: Address, version: int) -> LedgerVersionMismatch:
    return LedgerVersionMismatch(
        f"{address.url}: the schema {address.schema!r} was made by a newer version (schema "
        f"{version}, this one knows {len(migrations(Dialect.POSTGRES))}); it is left as it is: use "
        "the newer version"
    )


def _has_schema(connection: Connection, address: Address) -> bool:
    found = connection.execute("SELECT to_regnamespace(%s)", [address.schema]).fetchone()
    return found is not None and found[0] is not None


def _check_encoding(connection: Connection, address: Address) -> None:
    row = connection.execute("SHOW server_encoding").fetchone()
    if row is None or row[0] != "UTF8":
        raise OutputNotWritable(
            f"{address.url}: the database stores text as {row and row[0]}: use a database whose "
            "encoding is UTF8"
        )
