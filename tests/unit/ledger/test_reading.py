"""Readers beside the process that writes, and in folders without write permission."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import LedgerCorrupt
from orchestrator.ledger import BatchLock, LedgerReader, create_ledger, lock
from orchestrator.ledger.connection import connect
from orchestrator.ledger.known_batches import read_batch
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


def test_file_that_is_the_same_is_not_opened_again(tmp_path: Path) -> None:
    """A look at all earlier batches costs a call little when it is not the first one."""
    path = _made_before(tmp_path, secs=3_600)
    assert read_batch(path) is read_batch(path)


@pytest.mark.parametrize("age_secs", [0, 1, -3_600])
def test_file_that_may_still_change_unseen_is_read_again(tmp_path: Path, age_secs: float) -> None:
    """A second change within one tick of the file system's clock leaves no trace in its time."""
    path = _made_before(tmp_path, secs=age_secs)
    assert read_batch(path) is not read_batch(path)


def test_changes_of_a_file_that_was_read_are_seen(tmp_path: Path) -> None:
    """Whether they are still in the log beside it, or in the file, which looks as old as before."""
    path = _made_before(tmp_path, secs=3_600)
    assert read_batch(path).number == 0
    with closing(connect(path)) as other:
        other.execute("UPDATE batch SET number = 7")
        assert read_batch(path).number == 7
    _make_older(path, 3_600)
    assert read_batch(path).number == 7


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


def _made_before(folder: Path, secs: float) -> Path:
    create_ledger(folder / "ledger.sqlite", make_batch(), [make_job()])
    return _make_older(folder / "ledger.sqlite", secs)


def _make_older(path: Path, secs: float) -> Path:
    os.utime(path, (time.time() - secs,) * 2)
    return path


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
