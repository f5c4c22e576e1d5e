"""
What a body in pieces is: a plain or an asynchronous iterator of bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

Chunks: TypeAlias = "Iterator[bytes] | AsyncIterator[bytes]"


async def each(chunks: Chunks) -> AsyncIterator[bytes]:
    """
    Yield the pieces of either kind.
    """
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
