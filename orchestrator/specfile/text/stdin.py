"""Standard input, which can be read only once: as a spec or as data."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import BinaryIO

STANDARD_INPUT = "-"


def read_piped(most: int) -> bytes:
    """The bytes of standard input, at most one more than `most`; always the same."""
    return _read(sys.stdin.buffer, most)


@lru_cache(maxsize=1)
def _read(stream: BinaryIO, most: int) -> bytes:
    # One byte more shows that there is more, without reading all of it.
    return stream.read(most + 1)
