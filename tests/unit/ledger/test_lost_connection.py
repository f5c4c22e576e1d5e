"""The connection to the server of the ledger breaks: nothing is lost, nothing is written twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app import batch_folders
from orchestrator.errors import (
    BatchAborted,
    BatchHeld,
    BatchNotFound,
    ConfigError,
    LedgerAway,
    LedgerCorrupt,
)
from orchestrator.ledger import BatchLock, LedgerReader, location
from orchestrator.ledger.amendments import close_unstarted, halt_shards
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.lock import held_for
from orchestrator.ledger.postgres import ledger_session
from orchestrator.ledger.postgres.address import parse_address
from orchestrator.ledger.postgres.deployment import reach
from orchestrator.ledger.postgres.ledger_session import PostgresSession
from orchestrator.ledger.store import Rows
from orchestrator.ledger.stores import discard
from tests.support.builders import NOON, make_job, make_ledger, reopen_ledger
from tests.support.command import wait_until
from tests.support.postgres_server import OPTIONS, PostgresServer
from tests.unit.ledger.controllers import intend

DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"


@pytest.fixture
def in_postgres(postgres_schema: str) -> Iterator[str]:
    """Ledgers are in PostgreSQL."""
    location.configure(postgres_schema, away_secs=20)
    yield postgres_schema
    location.configure(None)


def end_sessions(url: str) -> None:
    """Ends all other connections to the server, as its administrator may."""
    import psycopg

    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


async def test_write_is_repeated_on_a_new_connection(tmp_path: Path, in_postgres: str) -> None:
    """A batch does not notice that the server has ended its connections."""
    ledger = make_ledger(tmp_path, make_job(), make_job(1))
    await ledger.record_intent(0, 1, NOON)
    reader = LedgerReader(tmp_path / "ledger.sqlite")
    end_sessions(in_postgres)
    await ledger.record_intent(1, 1, NOON)
    with reader:
        assert len(list(reader.waiting())) == 0
        assert reader.totals().attempts == 2


async def test_commit_without_an_answer_is_not_repeated(
    tmp_path: Path, in_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks just after the commit: the intent is there once, with its mark."""
    ledger = make_ledger(tmp_path)
    await ledger.check_owner()
    owned = PostgresSession.owned
    breaks = [True]

    @contextmanager
    def broken(self: PostgresSession) -> Iterator[None]:
        with owned(self):
            yield
        if breaks.pop():
            breaks.append(False)
            end_sessions(in_postgres)
            raise LedgerAway("the answer to the commit was lost")

    monkeypatch.setattr(PostgresSession, "owned", broken)
    attempt = await ledger.record_intent(0, 1, NOON)
    monkeypatch.undo()
    (found,) = await reopen_ledger(tmp_path).take_over()
    assert found.mark == attempt.mark


async def test_change_that_the_server_undid_is_repeated(tmp_path: Path, in_postgres: str) -> None:
    """Two transactions waited for each other: the connection stays, and the change is made."""
    ledger = make_ledger(tmp_path)
    session: Any = ledger._db
    sessions = [session._identity]

    def change() -> int:
        sessions.append(session._identity)
        if len(sessions) == 2:
            session._connection.execute(DEADLOCK)
        return int(session.query("set_waits", waits="[]").rowcount)

    assert await ledger._worker.submit(change) == 1
    assert sessions == sessions[:1] * 3


async def test_amendment_that_the_server_undid_is_repeated(
    tmp_path: Path, in_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for a process that is paused: the command that makes it does not fail."""
    make_ledger(tmp_path)
    query = PostgresSession.query
    tries: list[str] = []

    def undone(self: PostgresSession, name: str, /, **values: Any) -> Rows:
        if name == "halt_shards":
            tries.append(name)
            if len(tries) == 1:
                self._connection.execute(DEADLOCK)
        return query(self, name, **values)

    monkeypatch.setattr(PostgresSession, "query", undone)
    assert halt_shards(tmp_path / "ledger.sqlite", BatchAborted("aborted")) is False
    assert len(tries) == 2


async def test_process_that_was_paused_within_a_change_connects_again(
    tmp_path: Path, in_postgres: str
) -> None:
    """The server has ended its transaction, so that no other process waits for its locks."""
    import psycopg

    ledger = make_ledger(tmp_path)
    session: Any = ledger._db

    def has_ended(pid: int) -> bool:
        with psycopg.connect(in_postgres.partition("?")[0]) as other:
            asked = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            return other.execute(asked, [pid]).fetchone() is None

    def change() -> None:
        with session.owned():
            session.query("set_waits", waits="[]")
            session._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            wait_until(lambda: has_ended(session._identity[0]), "the end of the session")
            session.query("set_progress", progress=None)

    with pytest.raises(LedgerAway):
        change()
    await ledger.check_owner()


def test_session_that_ends_while_it_is_opened_is_a_lost_server(
    tmp_path: Path, in_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that restarts just after the login is waited for: it is not a bug of ours."""
    make_ledger(tmp_path)
    monkeypatch.setattr(ledger_session, "migrate", lambda *_: end_sessions(in_postgres))
    with pytest.raises(LedgerAway, match="cannot be reached"):
        reopen_ledger(tmp_path)


def test_batches_are_not_listed_without_one_whose_server_is_lost(
    tmp_path: Path, in_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a process that begins just then would make a second batch, or end with 4."""
    home = tmp_path / "sweep"
    (home / "20270115T000000Z-0001111").mkdir(parents=True)
    (home / "20270115T000000Z-0001111" / "ledger.json").write_text("{}")

    def lose(_: Path, _published: object) -> None:
        raise LedgerAway("the server of the ledger cannot be reached")

    monkeypatch.setattr(batch_folders, "read_batch", lose)
    with pytest.raises(LedgerAway):
        batch_folders.survey(home)
    location.configure(None)
    assert len(batch_folders.survey(home).unreadable) == 1


async def test_transaction_that_begins_with_many_rows_is_undone(
    tmp_path: Path, in_postgres: str
) -> None:
    """An error after rows of jobs were added leaves none of them."""
    ledger = make_ledger(tmp_path)

    def change() -> None:
        ledger._db.query_many("insert_job", [job_values(make_job(5))])
        raise LedgerCorrupt("a later step fails")

    with pytest.raises(LedgerCorrupt):
        await ledger._worker.submit(change)
    assert [row["seq"] for row in ledger._execute("select_waiting_keys")] == [0]


async def test_process_is_fenced_off_when_it_connects_again(
    tmp_path: Path, in_postgres: str
) -> None:
    """Another process has taken the batch over while the connection was broken."""
    first = make_ledger(tmp_path)
    await first.take_over()
    await reopen_ledger(tmp_path).take_over()
    end_sessions(in_postgres)
    with pytest.raises(BatchHeld, match="taken this batch over"):
        await first.record_intent(0, 1, NOON)


def test_lock_names_its_holder_on_another_machine(tmp_path: Path, in_postgres: str) -> None:
    """A folder that is not shared has no lock file: the server knows who holds the batch."""
    make_ledger(tmp_path)
    other = tmp_path / "other machine"
    other.mkdir()
    (other / "ledger.json").write_bytes((tmp_path / "ledger.json").read_bytes())
    with BatchLock(tmp_path, "resume"):
        assert held_for(other) == "resume"
        with pytest.raises(BatchHeld, match=r"process \d+ on .*: resume\)"), BatchLock(other):
            pass
    assert held_for(other) is None
    with BatchLock(other):
        pass


def test_deleted_ledger_is_an_error_that_names_its_place(tmp_path: Path, in_postgres: str) -> None:
    """The folder of the batch is still there, and its ledger is not."""
    make_ledger(tmp_path)
    discard(tmp_path / "ledger.sqlite")
    with pytest.raises(BatchNotFound, match="has no ledger of the batch"):
        LedgerReader(tmp_path / "ledger.sqlite")


@pytest.mark.parametrize(
    "read",
    [
        LedgerReader.batch,
        LedgerReader.totals,
        LedgerReader.waits,
        LedgerReader.progress,
        LedgerReader.is_shared,
    ],
    ids=lambda read: read.__name__,
)
def test_ledger_that_is_deleted_while_it_is_read_is_an_error(
    tmp_path: Path, in_postgres: str, read: Callable[[LedgerReader], object]
) -> None:
    """A night may remove an old batch that another process is just looking at."""
    make_ledger(tmp_path)
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        reader.batch()
        discard(tmp_path / "ledger.sqlite")
        with pytest.raises(BatchNotFound, match="another process has deleted this batch"):
            read(reader)


def test_text_with_nul_is_stored(tmp_path: Path, in_postgres: str) -> None:
    """PostgreSQL stores no NUL; an Actor's message may have one."""
    make_ledger(tmp_path)
    reason = LedgerAway("broken \x00 text")
    assert close_unstarted(tmp_path / "ledger.sqlite", reason, NOON).stop_reason == "broken ? text"


@pytest.mark.parametrize(
    ("url", "shown", "schema"),
    [
        ("postgresql://me@db/x", "postgresql://me@db/x", "orchestrator"),
        ("postgres://me:s3cret-word@db:1/x", "postgresql://me@db:1/x", "orchestrator"),
        ("postgresql://db/x?schema=nightly&sslmode=require",
         "postgresql://db/x?sslmode=require&schema=nightly", "nightly"),
        ("postgresql:///x?service=batches&password=s3cret-word",
         "postgresql:///x?service=batches", "orchestrator"),
        ("postgresql://db/x?sslkey=k&sslpassword=s3cret-word",
         "postgresql://db/x?sslkey=k", "orchestrator"),
        ("postgresql://h1,h2:5433/x?options=-c%20search_path%3Dteam",
         "postgresql://h1,h2:5433/x?options=-c%20search_path%3Dteam&schema=team", "team"),
    ],
    ids=["plain", "password", "schema", "password as a parameter", "password of a key",
         "search path"],
)  # fmt: skip
def test_address_shows_everything_but_the_password(url: str, shown: str, schema: str) -> None:
    """The folder of a batch may be copied and shared; it says where the ledger is."""
    address = parse_address(url)
    assert (address.url, address.schema) == (shown, schema)
    assert "s3cret-word" not in repr(address)


@pytest.mark.parametrize("url", ["sqlite:///x", "db.example.com", "postgresql://db/x?schema=A b"])
def test_address_that_is_not_one_is_refused(url: str) -> None:
    """The message does not repeat the text, which may hold a password."""
    with pytest.raises(ConfigError, match="ledger:"):
        parse_address(url)


@pytest.mark.parametrize("url", ["postgresql://db/x?pasword=hush", "postgresql://u:%ZZ@db/x"])
def test_url_that_libpq_does_not_understand_is_refused(url: str) -> None:
    """A misspelt parameter is a mistake of the user, and no bug of ours."""
    with pytest.raises(ConfigError, match=r"invalid.*correct the setting `ledger`"):
        reach(parse_address(url))


async def test_server_that_stays_away_ends_the_command(
    tmp_path: Path, server: PostgresServer
) -> None:
    """After `platform_away_secs`, the error says which server, and nothing waits any more."""
    location.configure(server.url, away_secs=0.5)
    ledger = make_ledger(tmp_path, make_job(), make_job(1))
    await ledger.record_intent(0, 1, NOON)
    server.stop()
    began = datetime.now()  # noqa: DTZ005 - only the difference counts
    with pytest.raises(LedgerAway, match=r"127\.0\.0\.1.*cannot be reached") as caught:
        await ledger.record_intent(1, 1, NOON)
    assert (datetime.now() - began).total_seconds() < 10  # noqa: DTZ005 - as above
    assert "s3cret" not in str(caught.value)
    server.start()
    again: Any = reopen_ledger(tmp_path)
    assert len(await again.take_over()) == 1


async def test_claim_survives_a_crash_of_the_server(tmp_path: Path, server: PostgresServer) -> None:
    """A claim is visible before it is on disk; the process hears of it afterwards."""
    server.stop()
    server.options = f"-c wal_writer_delay=10s {OPTIONS}"
    server.start()
    ledger = make_ledger(tmp_path)
    await ledger.join()
    claimed = await intend(ledger, 0)
    server.stop()
    server.start()
    (found,) = await reopen_ledger(tmp_path).take_over()
    assert found == claimed
