"""Ledgers that another program has changed: no reader takes them for a bug."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.errors import LedgerCorrupt
from orchestrator.ledger import LedgerReader, open_ledger
from orchestrator.ledger.known_batches import read_batch
from tests.support.finished_batches import Made, write_batch

EPOCH = datetime.fromtimestamp(0, UTC)
TABLES = ("batch", "jobs", "attempts", "calls", "orphan_runs", "given_up", "expansions")
READS: tuple[Callable[[LedgerReader], object], ...] = (
    LedgerReader.snapshot,
    LedgerReader.totals,
    LedgerReader.waits,
    LedgerReader.progress,
    LedgerReader.given_up,
    LedgerReader.expansions,
    LedgerReader.needing,
    LedgerReader.shared_datasets,
    lambda reader: list(reader.reports()),
    lambda reader: list(reader.listed()),
    lambda reader: list(reader.waiting()),
    lambda reader: list(reader.run_costs()),
    lambda reader: list(reader.failed_jobs()),
    lambda reader: list(reader.pool_starts(EPOCH)),
    lambda reader: reader.run_object(0, 1),
    lambda reader: reader.oldest_runs(9),
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of a batch with jobs that succeeded and failed."""
    jobs = [Made(key="a"), Made(key="b", status="FAILED", error="it failed", runs=({}, {}))]
    return write_batch(tmp_path_factory.mktemp("made"), jobs) / "ledger.sqlite"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0} SET {1} = 'x'",
        "UPDATE {0} SET {1} = '{{}}'",
        "UPDATE {0} SET {1} = -1",
        "ALTER TABLE {0} DROP {1}",
    ],
)
def test_no_change_of_a_column_is_a_bug_of_ours(ledger: Path, tmp_path: Path, change: str) -> None:
    """Each column has a value without a meaning, or is missing, as in versions between releases."""
    refused = [
        bool(_refusals(_changed(ledger, tmp_path / f"{number}.sqlite", change.format(*names))))
        for number, names in enumerate(_columns(ledger))
    ]
    assert sum(refused) > 9


@pytest.mark.parametrize("table", TABLES)
def test_no_missing_table_is_a_bug_of_ours(ledger: Path, tmp_path: Path, table: str) -> None:
    """The message says that another program has changed the ledger."""
    path = _changed(ledger, tmp_path / "ledger.sqlite", f"DROP TABLE {table}")
    assert "another program or an unpublished version" in "\n".join(_refusals(path))


def _columns(ledger: Path) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(ledger)) as db:
        for table in TABLES:
            for row in db.execute(f"PRAGMA table_info({table})").fetchall():
                yield table, row[1]


def _changed(ledger: Path, path: Path, change: str) -> Path:
    """A copy of a ledger that another program has changed, unless a constraint refuses that."""
    shutil.copy(ledger, path)
    with closing(sqlite3.connect(path)) as db, suppress(sqlite3.Error), db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(change)
    return path


def _refusals(path: Path) -> list[str]:
    """What is said by the reads that a ledger does not allow."""
    found = []
    with LedgerReader(path) as reader:
        for read in (lambda _: read_batch(path), lambda _: _open(path), *READS):
            try:
                with reader.translated():
                    read(reader)
            except LedgerCorrupt as error:
                found.append(str(error))
    return found


def _open(path: Path) -> None:
    with open_ledger(path):
        pass
