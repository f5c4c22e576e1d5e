"""The data folder: its lock, its age, and when it was last in use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from apify_emulator.errors import DataFolderInUse
from apify_emulator.times import now

_HEARTBEAT_SECS = 1.0


@contextmanager
def locked_data_folder(folder: Path) -> Iterator[None]:
    """Locks the data folder; the kernel releases the lock when the process ends."""
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderInUse(
                f"{folder}: another process runs an emulator on this data folder; wait until it "
                "ends, or choose another folder"
            ) from None
        # The content is the address of an earlier emulator.
        os.ftruncate(file, 0)
        yield
    finally:
        os.close(file)


def creation_time(folder: Path) -> float:
    """Returns when the folder was first used."""
    path = folder / "created"
    try:
        return float(path.read_text())
    except (FileNotFoundError, ValueError):
        moment = now()
        path.write_text(str(moment))
        return moment


def signing_master(folder: Path) -> str:
    """Returns the secret of this data, which signed URLs need after a restart too."""
    path = folder / "signing-key"
    try:
        known = path.read_text()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_hex(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(known)
    return known


def downtime_secs_of(path: Path) -> float:
    """Returns how long no emulator has used the data."""
    try:
        return max(time.time() - path.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return 0.0


async def keep_heartbeat(path: Path) -> None:
    """Updates the heartbeat file, so that the next emulator knows how long none was running."""
    try:
        while True:
            _touch(path)
            await anyio.sleep(_HEARTBEAT_SECS)
    finally:
        _touch(path)


def _touch(path: Path) -> None:
    # A temporary data folder can be deleted before the emulator has closed.
    with contextlib.suppress(OSError):
        path.touch()
