"""A file that grows under a temporary name, through a worker, until it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

from orchestrator.group_worker import Worker
from orchestrator.store.disk_writes import (
    append,
    closed_on_error,
    remove_open,
    translated,
    truncate,
)
from orchestrator.store.group_flush import Unflushed
from orchestrator.store.secret_warnings import SecretWatch
from orchestrator.store.sink import lines_in

T = TypeVar("T")
READ_BYTES = 1024 * 1024

Mark = tuple[int, Any]
"""A place in a file that grows: its bytes until there, and their digest so far."""


class PartFile:
    """
    A file that grows under a temporary name.

    Args:
        worker: performs groups by `flush_group`.
        handle: of the file, open for reading and writing.
        part, final: the temporary path and the final one.
        mark: where the file ends; None when it is empty.
    """

    def __init__(
        self, worker: Worker, handle: int, part: str, final: str, mark: Mark | None = None
    ) -> None:
        self._worker = worker
        self._handle = handle
        self._part = part
        self._final = final
        self._digest: Any
        self._size_bytes, self._digest = mark or (0, hashlib.sha256())
        self._watch = SecretWatch(final)
        self._last: Awaitable[object] | None = None

    async def append(self, data: bytes) -> None:
        """Writes at the end; returns when the system has taken it."""
        await self.append_soon(data)
        await self._last_write()

    async def append_soon(self, data: bytes) -> None:
        """
        Writes at the end; returns when the system has taken what was given before.

        So that the next bytes can arrive while these are hashed and written.
        """
        await self._last_write()
        # Bound now: the file may be closed or removed before this is performed.
        self._last = self._worker.submit(partial(self._append, self._handle, data))

    def sha256(self) -> str:
        """The digest of all that was appended, hex; call it after `append`."""
        return str(self._digest.hexdigest())

    async def mark(self) -> Mark:
        """Where it ends now."""
        await self._last_write()
        return self._size_bytes, self._digest.copy()

    async def truncate(self, mark: Mark | None) -> None:
        """Removes what was written after a mark; everything without one."""
        await self._last_write()
        self._size_bytes, digest = mark or (0, hashlib.sha256())
        self._digest = digest.copy()
        cut = partial(truncate, self._handle, self._size_bytes, self._part)
        await self._worker.submit(cut)

    async def append_file(self, other: PartFile) -> None:
        """Appends all of another file that grows."""
        await self._last_write()
        await other._last_write()
        await self._worker.submit(partial(self._copy, other))

    def _copy(self, other: PartFile) -> None:
        for start in range(0, other._size_bytes, READ_BYTES):
            self._append(self._handle, os.pread(other._handle, READ_BYTES, start))

    def _append(self, handle: int, data: bytes) -> None:
        append(handle, data, self._part)
        self._watch.check(data)
        self._digest.update(data)
        self._size_bytes += len(data)

    async def _last_write(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            await last

    def read(self, read: Callable[[IO[bytes]], T]) -> T:
        """Applies a function to the file so far, in the caller's thread; call it after `append`."""
        with open(self._part, "rb") as file:
            return read(file)

    async def publish(self) -> None:
        """Flushes the file, closes it and gives it its final name."""
        await self._last_write()
        unflushed = Unflushed(
            os.path.dirname(self._final), [(self._handle, self._part, self._final)]
        )
        # Before the wait: a cancelled task must not delete a file that is about to be renamed.
        self._handle = -1
        await self._worker.submit(lambda: unflushed)

    def close(self) -> None:
        """Closes the temporary file and keeps it for `Files.reopen_part`."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            self._worker.submit(partial(os.close, handle))

    def discard(self) -> None:
        """Closes and deletes the temporary file; does nothing once published or closed."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            self._worker.submit(partial(remove_open, handle, self._part))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """A part file of whole lines that an earlier download has closed, open again."""

    part: PartFile
    size_bytes: int
    lines: int


def reopen(part: str) -> tuple[int, Mark, int] | None:
    """
    The handle of a part file that was closed, where it ends, and its lines.

    A last line that is not whole is cut off. A file that a power cut has left with holes is
    deleted, and the answer is None.
    """
    with translated(part):
        handle = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    with closed_on_error(handle):
        with translated(part):
            whole = _whole_lines(handle)
        if whole is not None:
            mark, lines = whole
            truncate(handle, mark[0], part)
            return handle, mark, lines
    remove_open(handle, part)
    return None


def _whole_lines(handle: int) -> tuple[Mark, int] | None:
    """Where the whole lines of a file end, and how many there are; None if it has holes."""
    size, lines, seen = 0, 0, hashlib.sha256()
    # Of the whole lines; `seen` is of all that was read.
    digest, whole_bytes, has_holes = seen.copy(), 0, False
    while block := os.read(handle, READ_BYTES):
        end = block.rfind(b"\n") + 1
        # Bytes that never reached the disk are zeros after a power cut; JSON has none.
        if end and (has_holes or b"\0" in block[:end]):
            return None
        seen.update(block[:end])
        if end:
            digest, whole_bytes, has_holes = seen.copy(), size + end, False
        seen.update(block[end:])
        has_holes = has_holes or b"\0" in block[end:]
        size += len(block)
        lines += lines_in(block)
    return (whole_bytes, digest), lines
