"""What is known of the file of a ledger: whether it is the same, whole, and in use."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import LedgerCorrupt, OrchestratorError, OutputLost
from orchestrator.ledger.sqlite_errors import refusal

LONGEST_TICK_SECS = 3.0
"""More than the coarsest time of a change that a file system stores: two seconds (FAT)."""

_sound: set[tuple[int, ...]] = set()
"""The files that this process has checked or written, as `_content` knows them."""


def state_of(path: Path) -> tuple[int, ...]:
    """
    What identifies a file, then what changes with its content.

    Raises:
        OutputLost: it does not exist any more.
    """
    try:
        # By their names: each commit looks twice, and `Path.stat` takes three calls for one.
        stat = os.stat(name := str(path))  # noqa: PTH116
        try:
            wal = os.stat(f"{name}-wal").st_ino  # noqa: PTH116
        except FileNotFoundError:
            wal = 0
    except OSError as error:
        raise refusal(error, path, OutputLost) from error
    return stat.st_dev, stat.st_ino, wal, stat.st_size, stat.st_mtime_ns


def is_unchanged(path: Path, state: tuple[int, ...] | None) -> bool:
    """Whether a file is in this state; False where the system does not show it."""
    with suppress(OrchestratorError):
        return state_of(path) == state
    return False


def _content(state: tuple[int, ...]) -> tuple[int, ...]:
    """What a state says of the file itself, without the log beside it."""
    device, inode, _, size, changed_ns = state
    return device, inode, size, changed_ns


def settled_content(path: Path) -> tuple[int, ...] | None:
    """
    What changes with the content of a file; None if that cannot be said of this one.

    A ledger in use has a log beside it. A file that has just changed may change again within the
    same tick of its clock.
    """
    try:
        stat = path.stat()
        log_bytes = _size(f"{path}-wal")
    except OSError:
        return None
    if log_bytes or time.time() - stat.st_mtime < LONGEST_TICK_SECS:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _size(path: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(path).st_size  # noqa: PTH116 - another Path for each batch
    return 0


def has_log(path: Path) -> bool:
    """Whether the last commits may be in the file beside a ledger alone."""
    return _size(f"{path}-wal") > 0


def is_at_rest(path: Path) -> bool:
    """
    Whether SQLite could not make the files beside a ledger that it needs to read one in use.

    Raises:
        LedgerCorrupt: the last commits are in the file beside it alone.
    """
    index = path.with_name(f"{path.name}-shm")
    if os.access(index, os.F_OK) or os.access(path.parent, os.W_OK, effective_ids=True):
        return False
    if has_log(path):
        raise LedgerCorrupt(
            f"{path}: its process was killed, and what it wrote last cannot be read in a folder "
            "that cannot be written: copy the folder to where it can be"
        )
    return True


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Reads a whole file, but not again while this process has seen it sound and it is the same."""
    content = _content(state_of(path))
    if content in _sound:
        return
    # Not `integrity_check`: it compares indexes with tables too, which takes far longer.
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LedgerCorrupt(
            f"{path}: the ledger is damaged ({verdict}); it is left as it is: "
            "restore it from a copy"
        )
    _sound.add(content)


def mark_sound(path: Path) -> None:
    """Notes that a file is whole, because this process has written it."""
    with suppress(OrchestratorError):
        _sound.add(_content(state_of(path)))
