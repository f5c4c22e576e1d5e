"""A body in pieces: a plain or an asynchronous iterator of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

Chunks: TypeAlias = "Iterator[bytes] | AsyncIterator[bytes]"


async def each(chunks: Chunks) -> AsyncIterator[bytes]:
    """Yields the pieces of either kind."""
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


def pieces(whole: bytes, size: int = 262_144) -> Iterator[bytes]:
    """Splits a whole body into pieces."""
    for at in range(0, len(whole), size):
        yield whole[at : at + size]
