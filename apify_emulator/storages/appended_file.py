"""How lines are added to the file of a storage: all of them or none."""

from __future__ import annotations

import os
from pathlib import Path


def append_whole(path: Path, lines: bytes) -> None:
    """Adds lines to a file; none if the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            # The caller gets an error for all lines, so no part of them may stay.
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
