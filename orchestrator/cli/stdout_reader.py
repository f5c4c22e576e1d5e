"""Ends a command that follows something when nobody reads its standard output any more."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

STDOUT = 1


@asynccontextmanager
async def until_reader_leaves() -> AsyncIterator[None]:
    """
    Cancels its block when the pipe on standard output loses its reader.

    A write would notice that too, but the next line may come in an hour. Files, terminals and
    sockets have no reader that can be watched.
    """
    async with anyio.create_task_group() as group:
        if stat.S_ISFIFO(os.fstat(STDOUT).st_mode):
            group.start_soon(_cancel_with_reader, group.cancel_scope, name="reader of stdout")
        yield
        group.cancel_scope.cancel()


async def _cancel_with_reader(scope: anyio.CancelScope) -> None:
    # The writing end of a pipe has nothing to read; it wakes its waiter when the reader closes.
    await anyio.wait_readable(STDOUT)
    scope.cancel()
