"""One process per batch: a lock that the system releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from select import select
from types import TracebackType
from typing import TYPE_CHECKING, Self

from orchestrator.errors import BatchHeld, OrchestratorError, OutputNotWritable
from orchestrator.ledger.location import LEDGER, location_of
from orchestrator.system_errors import error_of

if TYPE_CHECKING:
    from orchestrator.ledger.postgres.advisory_lock import AdvisoryLock

LOCK = ".lock"
"""In the folder of each batch that a process has worked on."""
# A process that only checks has the lock for far less than the 40 ms of these tries.
TRIES = 5
MOMENT_SECS = 0.01
BRIEF_COMMANDS = frozenset({"costs"})
"""Commands that hold a batch only while they write a few rows, such as `status` with late costs."""
BRIEF_SECS = 30.0


class BatchLock:
    """
    Holds a batch for as long as the context lasts.

    The system keeps the lock, on a file beside the ledger. It is not on the ledger itself, because
    closing a second handle on that file would drop SQLite's own locks.

    When the file is deleted, a second process can take over the batch. The first one learns it from
    the ledger, see `LedgerConnection.check_owner`.

    Args:
        command: what the batch is held for, as other processes will show it.
        is_shared: whether others may hold it that share it, too.

    Raises:
        BatchHeld: on entering, when another process holds the batch; the message names it.
        OutputNotWritable, DiskFull: on entering, when the file cannot be made or locked.
    """

    def __init__(self, folder: Path, command: str = "run", *, is_shared: bool = False) -> None:
        self._folder = folder
        self._command = command
        self._is_shared = is_shared
        self._path = folder / LOCK
        self._handle = -1
        self._server_lock: AdvisoryLock | None = None

    def __enter__(self) -> Self:
        try:
            # Without O_CLOEXEC, an Actor's process that outlives this one would keep the lock.
            # Without O_NOFOLLOW, a link would lead to another file, which is emptied in the end.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(self._path, flags, 0o644)
        except OSError as error:
            raise _refusal(error, self._path) from error
        try:
            _take(handle, fcntl.LOCK_SH if self._is_shared else fcntl.LOCK_EX)
        except BlockingIOError as error:
            holder = _holder(handle)
            os.close(handle)
            raise BatchHeld(
                f"{self._folder}: another process holds this batch ({holder or 'just started'}); "
                "wait until it ends, or stop it"
            ) from error
        except OSError as error:
            os.close(handle)
            raise _refusal(error, self._path) from error
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = f"process {os.getpid()} on {platform.node()} since {since}: {self._command}\n"
        _write(handle, holder)
        self._handle = handle
        try:
            self.cover_ledger()
        except BaseException:
            self._release()
            raise
        return self

    def cover_ledger(self) -> None:
        """
        Holds the batch for other machines too, if its ledger is in PostgreSQL.

        Entering the context does it, and the caller once more where it makes the ledger then.
        """
        location = location_of(self._folder / LEDGER)
        if location is not None and self._server_lock is None:
            from orchestrator.ledger.postgres.advisory_lock import AdvisoryLock

            self._server_lock = AdvisoryLock(location, self._command, is_shared=self._is_shared)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._server_lock is not None:
            self._server_lock.release()
        # Emptied before the release: after it, the file may hold the name of the next holder.
        # The file stays: when it is deleted, two processes can lock two files of the same name.
        _write(self._handle, "")
        os.close(self._handle)


def _refusal(error: OSError, path: Path) -> OrchestratorError:
    advice = "fix that, or copy the batch to a folder that can be written"
    return error_of(error, path, "locked", otherwise=OutputNotWritable, advice=advice)


def _write(handle: int, text: str) -> None:
    """Writes who holds the lock; the lock does not depend on it, should the disk be full."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())


def _take(handle: int, kind: int) -> None:
    """
    Takes the lock; waits where another process holds it for a moment only.

    A process that checks whether the batch is held has it for microseconds, and a brief command
    until its rows are on disk. Both only read the batch, so that nobody may fail because of them.
    """
    until = time.monotonic() + BRIEF_SECS
    tries = 0
    while True:
        try:
            # `flock`, because a POSIX lock ends when this process closes any handle on the file.
            return fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            is_brief = _command(handle) in BRIEF_COMMANDS and time.monotonic() < until
            # Not counted while it is brief: a holder clears its name a moment before it leaves.
            tries += not is_brief
            if tries >= TRIES:
                raise
            select([], [], [], MOMENT_SECS)


def is_held(folder: Path) -> bool:
    """Whether some process holds the batch in this folder right now."""
    return held_for(folder) is not None


def held_for(folder: Path) -> str | None:
    """
    The command for which a process holds the batch in this folder; None when none holds it.

    It is empty while the process has not yet written it.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _held_on_server(folder)
    except OSError as error:
        raise _refusal(error, folder / LOCK) from error
    try:
        # Shared: two processes that only check do not take each other for a holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _command(handle)
    finally:
        os.close(handle)
    return _held_on_server(folder)


def _held_on_server(folder: Path) -> str | None:
    """As `held_for`, of a ledger in PostgreSQL, whose holder may be on another machine."""
    location = location_of(folder / LEDGER)
    if location is None:
        return None
    from orchestrator.ledger.postgres import advisory_lock

    return advisory_lock.held_for(location)


def _holder(handle: int) -> str:
    return os.pread(handle, 300, 0).decode("utf-8", "replace").strip()


def _command(handle: int) -> str:
    """The command that the holder wrote down; empty while it has not yet written it."""
    return _holder(handle).rpartition(": ")[2]
