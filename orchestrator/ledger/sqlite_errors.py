"""Turns SQLite's errors into ours, which say what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import descriptors
from orchestrator.errors import (
    BatchHeld,
    DiskFull,
    LedgerCorrupt,
    OrchestratorError,
    OutputLost,
    OutputNotWritable,
)
from orchestrator.ledger.changed_ledger import CHANGED
from orchestrator.system_errors import error_of

LEDGER_FILES = 6
"""How many descriptors SQLite needs at once, with a reserve: the file, its log and its index."""
FILES_BESIDE = 2
"""The log and the index of SQLite."""
LONGEST_PATH_BYTES = 512
"""SQLite does not open a file with a longer path (MAX_PATHNAME of its Unix part)."""

FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""How SQLite says that a disk is full, depending on which file it was about to grow."""
OTHER_TABLES = (
    "no such table",
    "no such column",
    "duplicate column name",
    "already exists",
    "malformed JSON",
)
"""What SQLite says of a ledger with other tables or values; our own statements are tested."""
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
REFUSED = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)
"""The primary codes of what the system refuses; SQLite does not say why."""


@contextmanager
def translated(path: Path, *, otherwise: type[OrchestratorError]) -> Iterator[None]:
    """
    Turns SQLite's errors that a user can act on into ours.

    Args:
        otherwise: the error when the system refuses to read or write the file.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        meaning = _meaning(error, path, otherwise)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(
    error: sqlite3.DatabaseError, path: Path, otherwise: type[OrchestratorError]
) -> OrchestratorError | None:
    """What an error of SQLite means for the user; None for a bug of ours."""
    # Errors of the Python module itself have no code of SQLite.
    code = getattr(error, "sqlite_errorcode", 0)
    kind = code & 0xFF
    if code in FULL:
        return DiskFull(
            f"{path}: the disk that holds the ledger is full: make room, then resume the batch"
        )
    if kind in DAMAGED:
        return LedgerCorrupt(
            f"{path}: the ledger is damaged, or is not a ledger ({error}); it is left as it is: "
            "restore it from a copy"
        )
    if kind in LOCKED:
        return BatchHeld(f"{path}: another program locks the ledger; wait until it ends")
    if kind == sqlite3.SQLITE_ERROR and any(words in str(error) for words in OTHER_TABLES):
        return LedgerCorrupt(f"{path}: {CHANGED} ({error})")
    if kind not in REFUSED:
        return None
    # Before the system is asked: it can open such a path, and only SQLite cannot.
    if len(os.fsencode(path.absolute())) > LONGEST_PATH_BYTES:
        return OutputNotWritable(
            f"{path}: SQLite cannot open a path of more than {LONGEST_PATH_BYTES} bytes: "
            "choose a shorter output folder with --output"
        )
    try:
        # SQLite does not say why it cannot open a file, and the system does.
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as reason:
        return refusal(reason, path, otherwise)
    if descriptors.unused() < LEDGER_FILES:
        # The file could be opened just now because SQLite has closed its own descriptors.
        return refusal(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), path)
    if _takes_no_file(path.parent):
        return refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)
    return otherwise(f"{path}: the ledger cannot be used ({error}): fix that, then try again")


def _takes_no_file(folder: Path) -> bool:
    """Whether a disk has no inode left: SQLite needs two files beside that of the ledger."""
    disk = os.statvfs(folder)
    # Some file systems have no fixed number of inodes, and say that they have none at all.
    return disk.f_files > 0 and disk.f_favail < FILES_BESIDE


def refusal(
    error: OSError, path: Path, otherwise: type[OrchestratorError] = OutputNotWritable
) -> OrchestratorError:
    """What an error of the operating system about a ledger's file means for the user."""
    if isinstance(error, FileNotFoundError):
        return OutputLost(
            f"{path}: the ledger does not exist any more: the batch was moved or deleted"
        )
    advice = "fix that, then try again"
    return error_of(error, path, "opened", otherwise=otherwise, advice=advice)
