"""One call for each occurrence of a series at a time."""

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
    Holds an occurrence for this process: also while it waits, or makes the batch.

    The lock is the system's, on one byte of a file of the series: its place is the occurrence's
    minute. So no files are left behind, and a process that dies gives the lock back.

    Raises:
        BatchHeld: another call holds it.
        OutputNotWritable: the file cannot be made.
    """
    # Without the account, which one of two calls may not have been told.
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
            f"another `run --resume` is at work for the occurrence {occurrence.isoformat()}"
        ) from error
    finally:
        os.close(handle)
