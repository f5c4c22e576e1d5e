"""Ledgers of earlier versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import LedgerCorrupt
from orchestrator.ledger import LedgerReader, create_ledger
from orchestrator.ledger.connection import connect
from orchestrator.ledger.definitions import job_values
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.rows import batch_values
from orchestrator.ledger.schema import APPLICATION_ID, migrations, newest
from orchestrator.model.states import AttemptState, JobStatus
from tests.support.builders import make_batch, make_job, reopen_ledger
from tools.references import newest_schema

VERSIONS = range(1, len(migrations()))


def make_old_ledger(path: Path, version: int, state: str = "finished") -> None:
    """A ledger of an earlier version, with a job whose run has ended."""
    with closing(sqlite3.connect(path)) as db:
        for script in migrations()[:version]:
            db.executescript(script)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(
            "INSERT INTO batch (only, id, name, mark, created_at, plan, state) "
            "VALUES (1, :id, :name, :mark, :created_at, :plan, 'open')",
            batch_values(make_batch()),
        )
        db.execute(
            "INSERT INTO jobs (seq, key, definition, demand, priority) "
            "VALUES (:seq, :key, :definition, :demand, :priority)",
            job_values(make_job()),
        )
        db.execute(
            "INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, dataset_id, "
            "store_id, run_status, started_at) VALUES (0, 1, ?, 'other', "
            "'2026-11-25T12:00:00.000+00:00', 'run1', 'dataset-1', 'store-1', 'SUCCEEDED', "
            "'2026-11-25T12:00:00.000+00:00')",
            (state,),
        )
        db.commit()


@pytest.mark.parametrize("open_it", [connect, LedgerReader])
def test_ledger_with_other_tables_is_refused(
    open_it: Callable[[Path], object], tmp_path: Path
) -> None:
    """An unpublished version may have made it; it is left as it is."""
    path = tmp_path / "ledger.sqlite"
    make_old_ledger(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE attempts RENAME COLUMN run_status TO status_of_run")
        db.commit()
    with pytest.raises(LedgerCorrupt, match="an unpublished version has changed the ledger"):
        open_it(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("version", VERSIONS)
def test_ledger_of_an_earlier_version_is_read_unchanged(version: int, tmp_path: Path) -> None:
    """A ledger that no newer version has opened is read without changes."""
    path = tmp_path / "ledger.sqlite"
    make_old_ledger(path, version)
    before = path.read_bytes()
    with LedgerReader(path) as reader:
        assert reader.batch().name == "nightly"
        assert reader.totals().jobs == {JobStatus.RUNNING: 1}
    assert read_batch(path).number == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", VERSIONS)
def test_ledger_of_an_earlier_version_is_migrated(version: int, tmp_path: Path) -> None:
    """A batch that an earlier version began is resumed with the same tables as a new one."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    make_old_ledger(old, version)
    create_ledger(new, make_batch(), [make_job()])
    with closing(connect(old)) as migrated, closing(connect(new)) as fresh:
        assert schema_of(migrated) == schema_of(fresh)
        assert migrated.execute("PRAGMA user_version").fetchone()[0] == len(migrations())


def test_newest_schema_is_that_of_all_versions() -> None:
    """What makes a new ledger was written from the versions as they are now."""
    assert newest() == newest_schema(), "run make references"


@pytest.mark.parametrize("version", [version for version in VERSIONS if version < 3])
async def test_collected_attempt_of_an_earlier_version_is_collected_again(
    version: int, tmp_path: Path
) -> None:
    """A process that died between two steps of an early version leaves a run that has ended."""
    make_old_ledger(tmp_path / "ledger.sqlite", version, state="collected")
    (attempt,) = await reopen_ledger(tmp_path).take_over()
    assert attempt.state is AttemptState.FINISHED
    assert attempt.run is not None
    assert attempt.run.id == "run1"


def schema_of(db: sqlite3.Connection) -> dict[str, str]:
    """The SQL of each table, index and view."""
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {row[0]: row[1] for row in rows}
