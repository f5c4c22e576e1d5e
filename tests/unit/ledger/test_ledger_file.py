"""The ledger as a file of SQLite."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import LedgerCorrupt, LedgerVersionMismatch, OutputNotWritable
from orchestrator.ledger import create_ledger
from orchestrator.ledger.connection import connect
from tests.support.builders import NOON, make_batch, make_job, make_ledger, reopen_ledger


async def test_copies_of_a_ledger_send_different_marks(tmp_path: Path) -> None:
    """Two processes that work on copies of one ledger have different marks."""
    make_ledger(tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "ledger.sqlite", copy)
    first = await reopen_ledger(tmp_path).record_intent(0, 1, NOON)
    second = await reopen_ledger(copy).record_intent(0, 1, NOON)
    assert first.mark != second.mark


def test_row_about_a_job_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The file itself refuses attempts without a job."""
    make_ledger(tmp_path)
    path = tmp_path / "ledger.sqlite"
    with closing(connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute(
            "INSERT INTO attempts (job_seq, number, state, owner, intent_at) "
            "VALUES (99, 1, 'intent', 'me', '2026-11-25')"
        )


def test_path_that_is_too_long_for_a_ledger_is_an_error(tmp_path: Path) -> None:
    """The message says what is too long and what to do; it appears for no other error."""
    short = tmp_path / "ledger.sqlite"
    short.mkdir()
    with pytest.raises(OutputNotWritable) as caught:
        connect(short)
    assert "--output" not in str(caught.value)
    folder = tmp_path / ("a" * 200) / ("b" * 200) / ("c" * 200)
    folder.mkdir(parents=True)
    with pytest.raises(OutputNotWritable, match="choose a shorter output folder"):
        connect(folder / "ledger.sqlite")


def test_ledger_refuses_a_file_of_another_kind(tmp_path: Path) -> None:
    """Another program's file is refused with a reason, and not a byte of it changes."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(LedgerCorrupt, match="left as it is"):
        connect(path)
    assert path.read_bytes() == b"something else entirely" * 100


@pytest.mark.parametrize("version", [0, 1])
def test_ledger_refuses_another_programs_database(tmp_path: Path, version: int) -> None:
    """A SQLite file without our mark is not a ledger, whatever version it names."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a)")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    with pytest.raises(LedgerCorrupt, match="not the ledger"):
        connect(path)


def test_ledger_refuses_a_torn_file(tmp_path: Path) -> None:
    """A ledger that lost its end is refused and not repaired."""
    path = tmp_path / "ledger.sqlite"
    create_ledger(path, make_batch(), (make_job(seq) for seq in range(200)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LedgerCorrupt):
        connect(path)


async def test_file_is_read_whole_unless_this_process_has_written_it(tmp_path: Path) -> None:
    """To open the ledger of a batch that has just ended takes no time, however large it is."""
    path = tmp_path / "ledger.sqlite"
    create_ledger(path, make_batch(), (make_job(seq) for seq in range(200)))
    db = connect(path)
    with db.owned():
        db.query("own_batch", owner="this process")
    db.confirm()
    db.close()
    written = path.stat()
    with path.open("r+b") as file:
        file.seek(written.st_size - 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(LedgerCorrupt):
        connect(path)
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    connect(path).close()


def test_ledger_refuses_a_newer_version(tmp_path: Path) -> None:
    """A ledger of a later release needs that release."""
    path = tmp_path / "ledger.sqlite"
    create_ledger(path, make_batch(), [make_job()])
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerVersionMismatch, match="newer version"):
        connect(path)
