"""
Writes and flushes on disk, in the caller's own thread: one file, whole or not at all.

A process that is killed at any point leaves at most `.part` files, which the next try overwrites.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import OrchestratorError, OutputLost
from orchestrator.system_errors import error_of

# O_NOFOLLOW: a link with a part file's name must not lead a write out of the folder.
FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """
    Saves one file durably.

    Several processes may save the same file at once: the last one stays. None waits for another
    one, which may be paused.

    Raises:
        DiskFull, OutputLost: the file is as it was before.
    """
    with translated(str(path)):
        handle, part = _open_locked(path)
        try:
            for piece in pieces:
                append(handle, piece, part)
            os.fsync(handle)
            # Renamed while locked: a process that has just opened it sees that it is another file.
            os.replace(part, path)
        finally:
            os.close(handle)
        flush_path(path.parent)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """
    A hard link to a file that never changes, or a copy if the disk has no links.

    Raises:
        OSError: as the system says.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def flush_path(path: str | Path) -> None:
    """
    Flushes a file, or the names in a folder: a rename is durable when its folder is flushed.

    Raises:
        OSError: as the system says.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename_folder(folder: Path, target: Path) -> bool:
    """
    Gives a folder another name; returns False if a folder that is not empty has it.

    Raises:
        OSError: as the system says.
    """
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return False
    return True


def write_error(error: OSError, path: str) -> OrchestratorError:
    """Our word for what the system refuses: files of each job ask for it by `except OSError`."""
    advice = "fix that, then resume the batch"
    return error_of(error, path, "written", otherwise=OutputLost, advice=advice)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turns the system's errors into ours, where it is not done for each job."""
    try:
        yield
    except OSError as error:
        raise write_error(error, path) from error


def try_lock(handle: int) -> bool:
    """Locks a file or a folder until it is closed; False if another process, or handle, has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def closed_on_error(handle: int) -> Iterator[None]:
    """Closes a handle if the block fails: an open one keeps its lock, also from this process."""
    try:
        yield
    except BaseException:
        os.close(handle)
        raise


def open_empty(part: str) -> int:
    """The handle of an empty file; its folder is made if need be, and flushed with the file."""
    flags = FLAGS | os.O_TRUNC
    try:
        try:
            return os.open(part, flags, 0o644)
        # The folder mostly exists: to ask first would cost a system call for each file.
        except FileNotFoundError:
            os.makedirs(os.path.dirname(part), exist_ok=True)
            return os.open(part, flags, 0o644)
    except OSError as error:
        raise write_error(error, part) from error


def append(handle: int, data: bytes, part: str) -> None:
    """Writes all of the data at the end of a file."""
    try:
        written = os.write(handle, data)
        while written < len(data):
            written += os.write(handle, memoryview(data)[written:])
    except OSError as error:
        raise write_error(error, part) from error


def truncate(handle: int, size_bytes: int, part: str) -> None:
    """Cuts a file to a size; the next write begins there."""
    with translated(part):
        os.ftruncate(handle, size_bytes)
        os.lseek(handle, size_bytes, os.SEEK_SET)


def remove_open(handle: int, part: str) -> None:
    """Closes a file and deletes it."""
    os.close(handle)
    with suppress(FileNotFoundError):
        os.unlink(part)


def _open_locked(path: Path) -> tuple[int, str]:
    """The handle of an empty file that no other process writes until it is closed, and its name."""
    number = 1
    while True:
        part = f"{path.parent}/.{path.name}{'' if number == 1 else f'.{number}'}.part"
        handle = os.open(part, FLAGS, 0o644)
        with closed_on_error(handle):
            if try_lock(handle):
                # Whoever had the lock may have renamed it: then this handle is that file's.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(handle), os.stat(part)):
                        os.ftruncate(handle, 0)
                        return handle, part
        os.close(handle)
        number += 1
