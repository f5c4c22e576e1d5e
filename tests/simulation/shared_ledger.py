"""
A ledger that several simulated processes share, on virtual time.

The statements are those of PostgreSQL, performed by SQLite: the few words that it does not know are
replaced, and its own statements stand in where they say the same. The server's clock and that of
each process is the clock of the event loop. `VirtualServerSession` is the same on a real server.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from orchestrator.ledger.location import Location
from orchestrator.ledger.postgres.ledger_session import PostgresSession
from orchestrator.ledger.postgres.pending_changes import Claims
from orchestrator.ledger.queries import Dialect, queries
from orchestrator.ledger.schema import migrations
from orchestrator.ledger.store import Complaint
from tests.simulation.claimed_jobs import LIVE, LIVE_STATES, ClaimedJobs

OURS = """
CREATE TABLE writers (owner TEXT PRIMARY KEY, commits INTEGER DEFAULT 0,
    is_fenced INTEGER DEFAULT 0, is_shard INTEGER DEFAULT 0, is_working INTEGER DEFAULT 1,
    lease_until REAL DEFAULT 0);
CREATE TABLE usage (owner TEXT PRIMARY KEY, runs INTEGER DEFAULT 0,
    memory_mbytes INTEGER DEFAULT 0, committed_usd REAL DEFAULT 0, hungry_at REAL DEFAULT -1e9);
CREATE TABLE findings (subject TEXT PRIMARY KEY, finding TEXT, changed INTEGER);
ALTER TABLE jobs ADD COLUMN taken_by TEXT;
ALTER TABLE jobs ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN claim_mbytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN claim_pools TEXT;
ALTER TABLE attempts ADD COLUMN sent_at REAL NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN counts_usd REAL NOT NULL DEFAULT 0;
ALTER TABLE batch ADD COLUMN halt_kind TEXT;
ALTER TABLE batch ADD COLUMN halt_reason TEXT;
ALTER TABLE batch ADD COLUMN finalizer TEXT;
ALTER TABLE attempts ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER note_writer AFTER INSERT ON writers BEGIN
    INSERT INTO usage (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER note_job AFTER UPDATE ON jobs
WHEN NEW.taken_by IS NULL OR NEW.taken_by <> OLD.taken_by OR NEW.status <> OLD.status
    OR NEW.attempts <> OLD.attempts OR NEW.ready_at <> OLD.ready_at
BEGIN
    UPDATE jobs SET changed = transaction_number() WHERE seq = NEW.seq;
END;
CREATE TRIGGER note_start AFTER INSERT ON attempts BEGIN
    UPDATE attempts SET sent_at = clock_timestamp(), made = transaction_number()
    WHERE job_seq = NEW.job_seq AND number = NEW.number;
END;
CREATE TRIGGER note_send AFTER UPDATE OF send ON attempts BEGIN
    UPDATE attempts SET sent_at = clock_timestamp()
    WHERE job_seq = NEW.job_seq AND number = NEW.number;
END;
CREATE TRIGGER note_finding AFTER UPDATE OF finding ON findings BEGIN
    UPDATE findings SET changed = transaction_number() WHERE subject = NEW.subject;
END;
CREATE TRIGGER note_new_finding AFTER INSERT ON findings BEGIN
    UPDATE findings SET changed = transaction_number() WHERE subject = NEW.subject;
END;
"""
COUNTED = """
CREATE TRIGGER count_{name} AFTER {event} ON attempts
WHEN NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = NEW.job_seq AND resurrects = NEW.run_id
    AND number > NEW.number)
BEGIN
    UPDATE attempts SET counts_usd = takes_usd(state, reserved_usd, cost_usd, is_final(cost_at,
        COALESCE(finished_at, ended_at), (SELECT costs_settle_secs FROM batch)), COALESCE((
            SELECT SUM(counts_usd) FROM attempts WHERE job_seq = NEW.job_seq
            AND run_id = NEW.run_id AND number < NEW.number), 0))
    WHERE job_seq = NEW.job_seq AND number = NEW.number;
END;
"""
SUMMED = f"""
CREATE TRIGGER sum_{{name}} AFTER {{event}} ON attempts BEGIN
    UPDATE usage SET (runs, memory_mbytes, committed_usd) = (
        SELECT COUNT(*) FILTER (WHERE state IN {LIVE}),
            COALESCE(SUM(claim_mbytes) FILTER (WHERE state IN {LIVE}), 0),
            COALESCE(SUM(counts_usd), 0)
        FROM attempts WHERE attempts.owner = usage.owner)
    WHERE owner IN ({{owners}});
END;
"""  # noqa: S608 - our own words
WORDS = {
    "FOR UPDATE SKIP LOCKED": "",
    "interval '1 second'": "1.0",
    "interval '30 seconds'": "30.0",
    "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)": ":clock",
    # A parameter: SQLite calls a function of ours ten times as slowly as it reads one.
    "clock_timestamp()": ":clock",
    "CAST(:finding AS jsonb)": ":finding",
    "ON CONFLICT (batch, subject)": "ON CONFLICT (subject)",
    "changed = pg_current_xact_id()": "changed = changed",
    "'-infinity'": "-1e9",
    "CAST(CAST(:since AS text) AS xid8)": ":since",
    "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)": "transaction_number()",
    "IS DISTINCT FROM": "IS NOT",
    "hashtext(": "home_of(",
    "MAX(CAST(rule ->> 'backoff_secs' AS double precision))": (
        "MAX(json_extract(value, '$.backoff_secs'))"
    ),
    "json_array_elements(CAST(definition AS json) -> 'rules') AS rule": (
        "json_each(definition, '$.rules')"
    ),
}
OTHERWISE = {
    "forget_findings": "DELETE FROM findings",
    "share_lock": "SELECT 1 AS is_ours",
    "delete_batch": "DELETE FROM batch",
    "limit_waits": "SELECT 1",
    "end_paused": "SELECT 1",
    "select_due_costs": """
        SELECT DISTINCT run_id FROM attempts CROSS JOIN batch
        WHERE run_id IS NOT NULL AND reused_from IS NULL
            AND attempts.state IN ('finished', 'settled')
            AND NOT is_final(cost_at, COALESCE(finished_at, attempts.ended_at), costs_settle_secs)
            AND is_final(:now, COALESCE(finished_at, attempts.ended_at), costs_settle_secs)
    """,
}
"""Statements whose dates SQLite cannot compare, or that are about sessions."""
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
SHARED = ("select_waiting",)
"""The statements that both databases have, and that know of other processes in PostgreSQL alone."""


@cache
def statement(name: str) -> str:
    """A statement of PostgreSQL in the words of SQLite."""
    if name in OTHERWISE:
        return OTHERWISE[name]
    own = queries(Dialect.SQLITE).get(name)
    if own is not None and name not in SHARED:
        return own
    text = queries(Dialect.POSTGRES)[name]
    for word, other in WORDS.items():
        text = text.replace(word, other)
    return text


def virtual_now() -> float:
    """The time of the event loop; 0 before it runs."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


def server_now() -> float:
    """The clock of the server, which counts microseconds."""
    return round(virtual_now(), 6)


CLOCKS = SimpleNamespace(clock_gettime=lambda _clock: virtual_now(), CLOCK_MONOTONIC=1)
"""In place of the module `time` of the sessions."""


class SharedLedger(sqlite3.Connection):
    """
    The ledger of one batch, in memory.

    Attributes:
        now: the time of the server in the statement or transaction of the moment, which takes none.
        transactions: how many there were.
    """

    def __init__(self) -> None:
        super().__init__(":memory:", isolation_level=None)
        self.now = 0.0
        self.transactions = 0
        self.row_factory = sqlite3.Row
        # The same within a statement: SQLite need not ask again for each row.
        self.create_function("clock_timestamp", 0, lambda: self.now, deterministic=True)
        self.create_function("transaction_number", 0, lambda: self.transactions)
        self.create_function("home_of", 1, lambda key: ord(key[-1]), deterministic=True)
        self.create_function("takes_usd", 5, _takes_usd)
        self.create_function("is_final", 3, _is_final)
        for script in (*migrations(Dialect.SQLITE), OURS):
            self.executescript(script)
        for event in ("insert", "update of state, cost_usd, cost_at, reserved_usd"):
            self.executescript(COUNTED.format(name=event[:6], event=event))
        # An insert is followed by an update: what the attempt counts is set then.
        for event, owners in (
            ("update of owner, state, claim_mbytes, counts_usd", "OLD.owner, NEW.owner"),
            ("delete", "OLD.owner"),
        ):
            self.executescript(SUMMED.format(name=event[:6], event=event, owners=owners))
        self._tables = [row[0] for row in self.execute(TABLES)]

    def clear(self) -> None:
        """Forgets the batch."""
        for table in self._tables:
            self.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
        self.now = 0.0
        self.transactions = 0


@cache
def _ledger() -> SharedLedger:
    return SharedLedger()


def new_ledger() -> SharedLedger:
    """An empty ledger; the one before it is gone."""
    # The same connection: to prepare all its statements again takes longer than to empty it.
    ledger = _ledger()
    ledger.clear()
    return ledger


def _takes_usd(
    state: str, reserved: str | None, cost: str | None, is_final: bool, before: float
) -> float:
    """
    What an attempt takes of the budget, as the trigger of the server says.

    Args:
        before: what the same run took in earlier attempts, before it was resurrected.
    """
    holds = float(reserved or 0)
    if state == "failed":
        return 0.0
    if state in LIVE_STATES or state == "lost" or cost is None:
        return holds
    more = float(cost) - before
    return more if is_final else max(holds, more)


@cache
def _is_final(asked_at: str | None, ended: str | None, settle_secs: float) -> bool:
    if asked_at is None or ended is None:
        return False
    passed = datetime.fromisoformat(asked_at) - datetime.fromisoformat(ended)
    return passed.total_seconds() >= settle_secs - 0.001


class SharedSession(PostgresSession):
    """A session of one process at a `SharedLedger`."""

    ledger: SharedLedger
    database_errors = (sqlite3.Error,)

    def query(self, name: str, /, **values: Any) -> Any:
        """Executes a named statement."""
        ledger = self.ledger
        # Within a transaction, no time passes.
        if not ledger.in_transaction:
            ledger.now = server_now()
        values["clock"] = ledger.now
        return ledger.execute(statement(name), values)

    def ask(self, name: str, /, **values: Any) -> Any:
        """Executes a named statement, whose answer is read later."""
        rows = self.query(name, **values).fetchall()
        return lambda: rows[0] if rows else None

    def change(self, name: str, complaint: Complaint | None, /, **values: Any) -> None:
        """Executes a named statement at once."""
        if self.query(name, **values).rowcount != 1 and complaint is not None:
            raise complaint()

    def query_many(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Executes a named statement once for each of the rows; returns how many rows changed."""
        return self.ledger.executemany(statement(name), rows).rowcount

    def close(self) -> None:
        """Nothing: the ledger is everybody's."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translates nothing."""
        yield

    def _connect(self) -> Any:
        self.is_new = not self.ledger.execute("SELECT 1 FROM batch").fetchone()

    @contextmanager
    def _transaction(self, begin: str = "") -> Iterator[None]:
        self.ledger.now = server_now()
        self.ledger.execute("BEGIN")
        self.ledger.transactions += "READ ONLY" not in begin
        self._claims = Claims()
        try:
            yield
            for perform in self._claims.in_turn:
                perform()
            claims = ClaimedJobs(self, self._owner or "", self.ledger.now)
            answers: list[Any] = [claims.claim(one) for one in self._claims.wanted]
            self._claims.answers = answers
        except BaseException:
            self.ledger.execute("ROLLBACK")
            raise
        self.ledger.execute("COMMIT")


class VirtualServerSession(PostgresSession):
    """A session at a real server, in whose schema `clock_timestamp()` is the virtual time."""

    def _connect(self) -> Any:
        connection = super()._connect()
        # Otherwise the functions of the server come first.
        path = f"SET search_path TO {self.location.address.schema}, pg_catalog"
        connection.execute(path.encode())
        return connection

    @contextmanager
    def _transaction(self, begin: str = "") -> Iterator[None]:
        with super()._transaction(
            f"{begin or 'BEGIN'}; SET LOCAL simulation.now = '{server_now()}'"
        ):
            yield


def virtual_clock(schema: str) -> Iterator[str]:
    """The statements that give a schema the virtual time, and homes as in memory."""
    yield f"""CREATE OR REPLACE FUNCTION {schema}.clock_timestamp() RETURNS timestamptz
        LANGUAGE sql STABLE AS $$ SELECT to_timestamp(COALESCE(CAST(
        NULLIF(current_setting('simulation.now', true), '') AS double precision), 0)) $$"""
    yield f"""CREATE OR REPLACE FUNCTION {schema}.hashtext(text) RETURNS integer
        LANGUAGE sql IMMUTABLE AS $$ SELECT ascii(right($1, 1)) $$"""
    yield f"ALTER FUNCTION {schema}.note_attempt() SET search_path TO {schema}, pg_catalog"
    for table, column in (("all_writers", "lease_until"), ("all_attempts", "sent_at")):
        now = f"{schema}.clock_timestamp()"
        yield f"ALTER TABLE {schema}.{table} ALTER COLUMN {column} SET DEFAULT {now}"


def session_of(ledger: SharedLedger | None) -> type[PostgresSession]:
    """The class of the sessions: at a ledger in memory, or at the server of the settings."""
    if ledger is None:
        return VirtualServerSession
    return type("NightSession", (SharedSession,), {"ledger": ledger})


def opened(kind: type[PostgresSession]) -> Any:
    """In place of `stores._session`."""

    def session(location: Location, *, writes: bool) -> PostgresSession:
        return kind(location, writes=writes)

    return session
