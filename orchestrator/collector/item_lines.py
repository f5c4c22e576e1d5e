"""The items of a JSON Lines file, one at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

LARGEST_ITEM_BYTES = 64 * 1024 * 1024
"""A larger item is counted and not parsed: parsing takes several times its size in memory."""

SKIPPED_BYTES = 1024 * 1024


def item_lines(file: BinaryIO, largest_bytes: int = LARGEST_ITEM_BYTES) -> Iterator[bytes | None]:
    """The lines of a file, in order; None stands for one that is larger than `largest_bytes`."""
    while line := file.readline(largest_bytes + 1):
        if len(line) <= largest_bytes or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(SKIPPED_BYTES)
        yield None
