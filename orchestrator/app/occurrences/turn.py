"""A lock that lets one call at a time work for an occurrence of a series."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from orchestrator.errors import BatchHeld, OutputNotWritable
from orchestrator.model.batches import Series

CALLS = ".calls"


@contextmanager
def occurrence_turn(home: Path, series: Series, occurrence: datetime) -> Iterator[None]:
    """
    Locks an occurrence for this process, also while it waits or makes the batch.

    The system locks one byte of a file of the series; the offset is the minute of the occurrence.
    So no files remain, and the lock of a process that dies is released.

    Raises:
        BatchHeld: another call holds it.
        OutputNotWritable: the file cannot be made.
    """
    # Without the account, because one of two calls may not know it.
    path = home / CALLS / replace(series, account=None).id
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputNotWritable(
            f"{path}: the output folder cannot be written ({error.strerror}); choose another with "
            "--output, or correct its permissions"
        ) from error
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(occurrence.timestamp()) // 60)
        yield
    except BlockingIOError as error:
        raise BatchHeld(
            f"another `run --resume` is running for the occurrence {occurrence.isoformat()}"
        ) from error
    finally:
        os.close(handle)
