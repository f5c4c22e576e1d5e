"""Readers beside the process that writes, and in folders without write permission."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import LedgerCorrupt
from orchestrator.ledger import BatchLock, LedgerReader, create_ledger, lock
from orchestrator.ledger.connection import connect
from orchestrator.model.states import JobStatus
from tests.support.builders import make_batch, make_job

NOBODY = 65534


@pytest.mark.parametrize("reads_before", [0, 1])
def test_ledger_in_a_read_only_folder_is_read(reads_before: int) -> None:
    """A batch on a medium without write permission can be read, whatever files are beside it."""
    with _folder() as folder:
        create_ledger(folder / "ledger.sqlite", make_batch(), [make_job()])
        for _ in range(reads_before):
            with LedgerReader(folder / "ledger.sqlite") as reader:
                reader.batch()
        with _unwritable(folder), LedgerReader(folder / "ledger.sqlite") as reader:
            assert reader.totals().jobs == {JobStatus.WAITING: 1}


def test_read_only_folder_of_a_killed_process_is_not_read_in_part() -> None:
    """If the last commits cannot be read without writing, nothing is shown."""
    with _folder() as folder:
        create_ledger(folder / "ledger.sqlite", make_batch(), [make_job()])
        writer = connect(folder / "ledger.sqlite")
        writer.execute("UPDATE jobs SET status = 'SKIPPED'")
        wal = (folder / "ledger.sqlite-wal").read_bytes()
        writer.close()
        (folder / "ledger.sqlite-wal").write_bytes(wal)
        with _unwritable(folder), pytest.raises(LedgerCorrupt, match="copy the folder"):
            LedgerReader(folder / "ledger.sqlite")


def test_stream_that_is_read_holds_back_no_other_reader(tmp_path: Path) -> None:
    """A reader beside an unfinished stream sees what was written meanwhile."""
    path = tmp_path / "ledger.sqlite"
    create_ledger(path, make_batch(), [make_job(), make_job(seq=1)])
    with LedgerReader(path) as streaming, LedgerReader(path, checks=False) as reader:
        reports = streaming.reports()
        next(reports)
        with closing(connect(path)) as writer:
            writer.execute("UPDATE jobs SET status = 'SKIPPED'")
            assert reader.jobs_by_status() == {JobStatus.SKIPPED: 2}
            assert next(reports).status is JobStatus.WAITING


def test_read_of_the_lock_refuses_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that begins while another reads the lock's holder gets the lock a moment later."""
    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_SH)
    monkeypatch.setattr(lock, "select", lambda *_: os.close(handle))
    with BatchLock(tmp_path):
        assert lock.is_held(tmp_path)


def test_lock_names_its_last_holder_only(tmp_path: Path) -> None:
    """What an earlier process with a longer command wrote is removed."""
    with BatchLock(tmp_path, "resume with a long list of options"):
        assert lock.held_for(tmp_path) == "resume with a long list of options"
    with BatchLock(tmp_path, "run"):
        assert lock.held_for(tmp_path) == "run"


def test_read_of_the_lock_leaves_no_file_open(tmp_path: Path) -> None:
    """A program that checks again and again whether a batch is live does not run out of files."""

    def next_descriptor() -> int:
        handle = os.open(tmp_path, os.O_RDONLY)
        os.close(handle)
        return handle

    with BatchLock(tmp_path):
        before = next_descriptor()
        assert all(lock.is_held(tmp_path) for _ in range(9))
        assert next_descriptor() == before
    assert not lock.is_held(tmp_path)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that others can enter, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """Removes write permission; the superuser becomes another user."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
