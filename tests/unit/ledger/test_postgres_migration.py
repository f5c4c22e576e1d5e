"""Schemas of PostgreSQL that other versions have made, and processes that update them together."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import psycopg
import pytest

from orchestrator.errors import LedgerVersionMismatch
from orchestrator.ledger import LedgerReader, location
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.postgres.address import Address
from orchestrator.ledger.postgres.connection_rows import statement
from orchestrator.ledger.postgres.deployment import connect, migrate
from orchestrator.ledger.queries import Dialect
from orchestrator.ledger.rows import batch_values
from orchestrator.ledger.schema import migrations
from orchestrator.ledger.stores import connect as open_store
from orchestrator.model.states import JobStatus
from tests.support.builders import make_batch, make_job, reopen_ledger

NEWEST = len(migrations(Dialect.POSTGRES))
PROCESSES = 4


@pytest.fixture
def fresh_schema(postgres_url: str) -> Iterator[Address]:
    """A schema of this test alone, which does not exist yet."""
    name = f"test_{secrets.token_hex(6)}"
    mark = "&" if "?" in postgres_url else "?"
    location.configure(f"{postgres_url}{mark}schema={name}")
    address = location.configured_address()
    assert address is not None
    yield address
    location.configure(None)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


def make_old_schema(address: Address, version: int, folder: Path) -> None:
    """A schema of an earlier version with a batch of two jobs, one of which has a live run."""
    with closing(connect(address)) as connection:
        connection.execute(f"CREATE SCHEMA {address.schema}".encode())
        connection.execute(
            "CREATE TABLE migrations (version integer PRIMARY KEY, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for number, script in enumerate(migrations(Dialect.POSTGRES)[:version], start=1):
            connection.execute(script.encode())
            connection.execute("INSERT INTO migrations (version) VALUES (%s)", [number])
        connection.execute(statement("insert_batch"), batch_values(make_batch()))
        for seq in range(2):
            connection.execute(statement("insert_job"), job_values(make_job(seq)))
        connection.execute(
            "INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, reserved_usd) "
            "VALUES (0, 1, 'started', 'other', '2026-11-25T12:00:00.000+00:00', 'run1', '0.5')"
        )
    location.write_pointer(folder, address, make_batch().id)


def versions(address: Address) -> list[int]:
    """The migrations that the schema has had."""
    with closing(connect(address)) as connection:
        rows = connection.execute("SELECT version FROM migrations ORDER BY version")
        return [int(row[0]) for row in rows]


def test_processes_that_update_a_schema_together_take_turns(fresh_schema: Address) -> None:
    """All find the schema up to date, and each migration was done once."""
    together = Barrier(PROCESSES)

    def update() -> None:
        with closing(connect(fresh_schema)) as connection:
            together.wait()
            migrate(connection, fresh_schema)

    with ThreadPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(update) for _ in range(PROCESSES)]:
            done.result()
    assert versions(fresh_schema) == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_schema_of_an_earlier_version_is_updated_by_a_writer(
    fresh_schema: Address, tmp_path: Path, version: int
) -> None:
    """A reader says which command updates it, and changes nothing; its batches stay whole."""
    make_old_schema(fresh_schema, version, tmp_path)
    with pytest.raises(LedgerVersionMismatch, match=rf"version {version}, .* such as `run`"):
        LedgerReader(tmp_path / "ledger.sqlite")
    assert versions(fresh_schema)[-1] == version
    open_store(tmp_path / "ledger.sqlite").close()
    assert versions(fresh_schema)[-1] == NEWEST
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.totals().jobs == {JobStatus.WAITING: 1, JobStatus.RUNNING: 1}


@pytest.mark.parametrize("version", range(1, NEWEST))
async def test_limits_count_the_runs_of_an_earlier_version(
    fresh_schema: Address, tmp_path: Path, version: int
) -> None:
    """A run that an earlier version started uses its slot and its money after the update."""
    make_old_schema(fresh_schema, version, tmp_path)
    ledger = reopen_ledger(tmp_path)
    await ledger.take_over()
    with closing(connect(fresh_schema)) as connection:
        row = connection.execute(
            "SELECT SUM(runs) AS runs, SUM(committed_usd) AS committed_usd FROM all_usage"
        ).fetchone()
    assert row is not None
    assert (row["runs"], float(row["committed_usd"])) == (1, 0.5)


def test_schema_that_changes_while_a_process_uses_it_is_an_error(
    fresh_schema: Address, tmp_path: Path
) -> None:
    """A process of an earlier version works while a newer one updates the schema."""
    make_old_schema(fresh_schema, NEWEST, tmp_path)
    with (
        closing(connect(fresh_schema)) as connection,
        LedgerReader(tmp_path / "ledger.sqlite") as reader,
    ):
        connection.execute(b"ALTER VIEW jobs RENAME TO tasks")
        with pytest.raises(LedgerVersionMismatch, match=r"while this process used it .* resume"):
            reader.totals()


def test_schema_of_a_newer_version_is_left_as_it_is(fresh_schema: Address, tmp_path: Path) -> None:
    """Neither a writer nor a reader touches it; both say that the newer version is needed."""
    make_old_schema(fresh_schema, NEWEST, tmp_path)
    with closing(connect(fresh_schema)) as connection:
        connection.execute("INSERT INTO migrations (version) VALUES (%s)", [NEWEST + 1])
    for opens in (open_store, LedgerReader):
        with pytest.raises(LedgerVersionMismatch, match=r"newer version .* use the newer version"):
            opens(tmp_path / "ledger.sqlite")
    assert versions(fresh_schema)[-1] == NEWEST + 1
