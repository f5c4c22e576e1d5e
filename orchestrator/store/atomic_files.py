"""
The only writer of output files: beside the final name, flushed, then renamed, the folder flushed.

Small files are handed in whole; large ones grow by chunks. All of it happens in one thread, and
what piles up there is flushed as one group. A process killed at any point leaves at most `.part`
files, which the next try overwrites.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from orchestrator.errors import OutputLost
from orchestrator.group_worker import Work, Worker, run_each
from orchestrator.store.secret_warnings import SecretWatch
from orchestrator.store.sink import lines_in
from orchestrator.system_errors import error_of

T = TypeVar("T")
READ_BYTES = 1024 * 1024
FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class _Unflushed:
    """Files that are written but not yet flushed: open handles with their two names."""

    folder: str
    files: Sequence[tuple[int, str, str]]


def flush_group(group: Sequence[Work]) -> None:
    """
    Performs a group of writes, then flushes all its files, then renames, then flushes folders.
    """
    run_each(group)
    pending = [work for work in group if isinstance(work.result, _Unflushed)]
    for step in (_flush, _rename, _flush_folder):
        for work in pending:
            if work.error is None:
                work.error = _error_of(step, work.result)
    for work in pending:
        work.result = None


class Files:
    """Saves files through a worker whose groups go through `flush_group`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def save(self, folder: Path, contents: Mapping[str, bytes]) -> None:
        """
        Saves small files into a folder, which is made if need be; returns when they are durable.

        Raises:
            DiskFull, OutputLost: nothing appears under a final name that is not whole.
        """
        await self._worker.submit(partial(_write, str(folder), contents))

    async def open_part(self, folder: Path, name: str, *, part: str | None = None) -> PartFile:
        """
        Begins a file that grows; it appears under its name when `PartFile.publish` returns.

        Args:
            part: what tells this file from others that would have its name; the name itself.
        """
        path = f"{folder}/.{part or name}.part"
        handle = await self._worker.submit(partial(_open, path))
        return PartFile(self._worker, handle, path, f"{folder}/{name}")

    async def reopen_part(self, folder: Path, name: str, *, part: str) -> KeptPart | None:
        """
        Goes on with a file of lines that was left, by this process or by one that died.

        Its last line is cut off unless it is whole. Other parts of that name are removed.

        Returns:
            None when there is none, or one that a failing machine has left with holes.
        """
        own = f".{part}.part"
        try:
            # A look at a folder that is mostly not there is not worth another thread.
            names = os.listdir(folder)
        except OSError:
            return None
        for other in names:
            if other.startswith(f".{name}.") and other.endswith(".part") and other != own:
                os.unlink(f"{folder}/{other}")
        if own not in names:
            return None
        path = f"{folder}/{own}"
        kept = await self._worker.submit(partial(_take_up, path))
        if kept is None:
            return None
        handle, mark, lines = kept
        grown = PartFile(self._worker, handle, path, f"{folder}/{name}", mark)
        return KeptPart(part=grown, size_bytes=mark[0], lines=lines)

    async def publish_part(self, folder: Path, name: str, *, part: str) -> bool:
        """Gives a file that grew and was left its final name, durably; False when it is gone."""
        path = f"{folder}/.{part}.part"
        try:
            handle = await self._worker.submit(partial(os.open, path, os.O_RDWR | os.O_CLOEXEC))
        except FileNotFoundError:
            return False
        unflushed = _Unflushed(str(folder), [(handle, path, f"{folder}/{name}")])
        await self._worker.submit(lambda: unflushed)
        return True

    async def remove_part(self, folder: Path, *, part: str) -> None:
        """Removes a file that was left, if there is one."""
        path = Path(f"{folder}/.{part}.part")
        await self._worker.submit(partial(path.unlink, missing_ok=True))


Mark = tuple[int, Any]
"""A place in a file that grows: its bytes until there, and their digest so far."""


class PartFile:
    """A file that grows under a temporary name."""

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
        await self._settle()

    async def append_soon(self, data: bytes) -> None:
        """
        Writes at the end; returns when the system has taken what was given before.

        So that the next bytes can arrive while these are hashed and written.
        """
        await self._settle()
        # The handle of now: the file may be left or discarded before this is performed.
        self._last = self._worker.submit(partial(self._append, self._handle, data))

    def sha256(self) -> str:
        """The digest of all that was appended, hex; call it after `append`."""
        return str(self._digest.hexdigest())

    async def mark(self) -> Mark:
        """Where it ends now."""
        await self._settle()
        return self._size_bytes, self._digest.copy()

    async def go_back(self, mark: Mark | None) -> None:
        """Forgets what was written after a mark; everything without one."""
        await self._settle()
        self._size_bytes, digest = mark or (0, hashlib.sha256())
        self._digest = digest.copy()
        cut = partial(_truncate, self._handle, self._size_bytes, self._part)
        await self._worker.submit(cut)

    async def take_over(self, other: PartFile) -> None:
        """Appends all of another file that grows."""
        await self._settle()
        await other._settle()
        await self._worker.submit(partial(self._copy, other))

    def _copy(self, other: PartFile) -> None:
        for start in range(0, other._size_bytes, READ_BYTES):
            self._append(self._handle, os.pread(other._handle, READ_BYTES, start))

    def _append(self, handle: int, data: bytes) -> None:
        _append(handle, data, self._part)
        self._watch.look_at(data)
        self._digest.update(data)
        self._size_bytes += len(data)

    async def _settle(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            await last

    def read(self, look: Callable[[IO[bytes]], T]) -> T:
        """
        What a function makes of the file so far, in the caller's thread; call it after `append`.
        """
        with open(self._part, "rb") as file:
            return look(file)

    async def publish(self) -> None:
        """Flushes the file and gives it its final name; it is closed then."""
        await self._settle()
        unflushed = _Unflushed(
            os.path.dirname(self._final), [(self._handle, self._part, self._final)]
        )
        self._handle = -1
        await self._worker.submit(lambda: unflushed)

    def leave(self) -> None:
        """Closes the temporary file for `Files.reopen_part`."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            self._worker.submit(partial(os.close, handle))

    def discard(self) -> None:
        """Closes and removes the temporary file; does nothing once published or left."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            self._worker.submit(partial(_discard, handle, self._part))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """A file that goes on growing."""

    part: PartFile
    size_bytes: int
    lines: int


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """
    Saves one file durably in the caller's own thread.

    Several processes may save the same file at once: they take turns, and the last one stays.

    Raises:
        DiskFull, OutputLost: the file is as it was before.
    """
    part = f"{path.parent}/.{path.name}.part"
    with translated(str(path)):
        handle = _open_alone(part)
        try:
            for piece in pieces:
                _append(handle, piece, part)
            os.fsync(handle)
            os.replace(part, path)
        finally:
            os.close(handle)
        _sync_folder(str(path.parent))


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turns the system's errors into ours."""
    try:
        yield
    except OSError as error:
        advice = "mend that, then resume the batch"
        raise error_of(error, path, "written", otherwise=OutputLost, advice=advice) from error


def _write(folder: str, contents: Mapping[str, bytes]) -> _Unflushed:
    files = []
    for name, data in contents.items():
        part = f"{folder}/.{name}.part"
        handle = _open(part)
        files.append((handle, part, f"{folder}/{name}"))
        _append(handle, data, part)
        SecretWatch(f"{folder}/{name}").look_at(data)
    return _Unflushed(folder, files)


def _open(part: str) -> int:
    flags = FLAGS | os.O_TRUNC
    with translated(part):
        try:
            return os.open(part, flags, 0o644)
        except FileNotFoundError:
            folder = os.path.dirname(part)
            os.makedirs(folder, exist_ok=True)
            _sync_folder(os.path.dirname(folder))
            return os.open(part, flags, 0o644)


def _open_alone(part: str) -> int:
    """The handle of an empty file that nobody else writes until it is closed."""
    while True:
        handle = os.open(part, FLAGS, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # Whoever had it before has given it its name meanwhile: then this one is another's file.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(part)):
                os.ftruncate(handle, 0)
                return handle
        os.close(handle)


def _append(handle: int, data: bytes, part: str) -> None:
    with translated(part):
        written = os.write(handle, data)
        while written < len(data):
            written += os.write(handle, memoryview(data)[written:])


def _truncate(handle: int, size_bytes: int, part: str) -> None:
    with translated(part):
        os.ftruncate(handle, size_bytes)
        os.lseek(handle, size_bytes, os.SEEK_SET)


def _take_up(part: str) -> tuple[int, Mark, int] | None:
    """The handle of a file that was left, its size and digest, and its lines."""
    with translated(part):
        handle = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        size, lines, seen = 0, 0, hashlib.sha256()
        # Of the whole lines; `seen` is of all that was read.
        digest, whole_bytes, has_holes = seen.copy(), 0, False
        while block := os.read(handle, READ_BYTES):
            end = block.rfind(b"\n") + 1
            # Bytes that never reached the disk are zeros after a power cut; JSON has none.
            if end and (has_holes or b"\0" in block[:end]):
                _discard(handle, part)
                return None
            seen.update(block[:end])
            if end:
                digest, whole_bytes, has_holes = seen.copy(), size + end, False
            seen.update(block[end:])
            has_holes = has_holes or b"\0" in block[end:]
            size += len(block)
            lines += lines_in(block)
    _truncate(handle, whole_bytes, part)
    return handle, (whole_bytes, digest), lines


def _discard(handle: int, part: str) -> None:
    os.close(handle)
    with suppress(FileNotFoundError):
        os.unlink(part)


def _flush(unflushed: _Unflushed) -> None:
    for handle, _, _ in unflushed.files:
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _rename(unflushed: _Unflushed) -> None:
    for _, part, final in unflushed.files:
        os.replace(part, final)


def _flush_folder(unflushed: _Unflushed) -> None:
    _sync_folder(unflushed.folder)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _error_of(step: Callable[[_Unflushed], None], unflushed: _Unflushed) -> Exception | None:
    try:
        with translated(unflushed.folder):
            step(unflushed)
    except Exception as error:  # noqa: BLE001 - carried over to the task that waits
        return error
    return None
