"""The logs of runs: how they are kept, and followed while the run is active."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio

from apify_emulator.times import iso, now

_PIECE_BYTES = 65_536


class RunLogs:
    """The logs of all runs: one file each; each line of the process gets a timestamp."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._grown: dict[str, anyio.Event] = {}

    def path(self, run_id: str) -> Path:
        """Returns the path of a run's log; the file may not exist yet."""
        return self._folder / f"{run_id}.log"

    def add(self, run_id: str, text: str) -> None:
        """Adds lines to a log; past the size limit it writes one line about that and stops."""
        stamp = iso(now())
        lines = "".join(f"{stamp} {line}\n" for line in text.splitlines()).encode()
        path = self.path(run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for each write, because thousands of runs would need too many open files.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(file).st_size
            if size > self._max_bytes:
                return
            if size + len(lines) > self._max_bytes:
                lines = lines[: max(self._max_bytes - size, 0)]
                lines += f"\n{stamp} ACTOR: The log is too long; the rest is left out.\n".encode()
            os.write(file, lines)
        finally:
            os.close(file)
        event = self._grown.pop(run_id, None)
        if event is not None:
            event.set()

    def wake(self, run_id: str) -> None:
        """Lets followers check whether the run has ended."""
        event = self._grown.pop(run_id, None)
        if event is not None:
            event.set()

    def read(self, run_id: str) -> Iterator[bytes]:
        """Yields the log as it is now."""
        try:
            file = self.path(run_id).open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            # Only the present length, because the log of an active run grows while it is read.
            left = os.fstat(file.fileno()).st_size
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece

    async def follow(self, run_id: str, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yields the log and what is added to it, until `is_over` returns true."""
        at = 0
        while True:
            event = self._grown.setdefault(run_id, anyio.Event())
            # Checked before the read, so that the last lines are not lost.
            was_over = is_over()
            for piece in self._from(run_id, at):
                at += len(piece)
                yield piece
            if was_over:
                return
            await event.wait()

    def delete(self, run_id: str) -> None:
        """Deletes a log."""
        self.path(run_id).unlink(missing_ok=True)

    def _from(self, run_id: str, at: int) -> Iterator[bytes]:
        try:
            file = self.path(run_id).open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            file.seek(at)
            while piece := file.read(_PIECE_BYTES):
                yield piece


class LineStamper:
    """Splits a process's output into whole log lines; `flush` passes on an unfinished one."""

    def __init__(self, add: Callable[[str], None], max_line_bytes: int = 100_000) -> None:
        self._add = add
        self._rest = b""
        self._max_line_bytes = max_line_bytes

    def feed(self, piece: bytes) -> None:
        """Adds what the process has written."""
        whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            self._add(whole.decode(errors="replace"))
        # A process that never ends a line must not fill the memory.
        if len(self._rest) > self._max_line_bytes:
            self.flush()

    def flush(self) -> None:
        """Passes on the unfinished line, as at the end of the output."""
        if self._rest:
            self._add(self._rest.decode(errors="replace"))
            self._rest = b""
