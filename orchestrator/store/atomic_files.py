"""
The only writer of job files: beside the final name, flushed, then renamed, the folder flushed.

Small files are written whole; large ones grow by chunks. All of it happens in one thread, and what
waits there is flushed as one group. A process that is killed at any point leaves at most
`.part` files, which the next try overwrites.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from orchestrator.group_worker import Worker
from orchestrator.safe_text import SECRETS
from orchestrator.store.disk_writes import append, open_empty
from orchestrator.store.group_flush import Unflushed, close_all
from orchestrator.store.part_file import KeptPart, PartFile, reopen
from orchestrator.store.secret_warnings import warn_of_secret

Folder = Path | str
"""As text where each job has another one: to make a `Path` takes longer than to write the names."""


class Files:
    """Saves files through a worker whose groups go through `flush_group`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def save(self, folder: Folder, contents: Mapping[str, bytes]) -> None:
        """
        Saves small files into a folder, which is made if need be; returns when they are durable.

        Raises:
            DiskFull, OutputLost: nothing appears under a final name that is not whole.
        """
        await self._worker.submit(partial(_write, str(folder), contents))

    async def open_part(self, folder: Folder, name: str, *, part: str | None = None) -> PartFile:
        """
        Begins a file that grows; it appears under its name when `PartFile.publish` returns.

        Args:
            part: what distinguishes this file from others with the same name; the name itself.
        """
        path = f"{folder}/.{part or name}.part"
        handle = await self._worker.submit(partial(open_empty, path))
        return PartFile(self._worker, handle, path, f"{folder}/{name}")

    async def reopen_part(self, folder: Folder, name: str, *, part: str) -> KeptPart | None:
        """
        Reopens a part file of lines that this process has closed, or one that died.

        Its last line is cut off unless it is whole. Other parts of that name are deleted.

        Returns:
            None when there is none, or one that a power cut has left with holes.
        """
        own = f".{part}.part"
        try:
            # The folder is mostly absent: not worth the way through another thread.
            names = os.listdir(folder)
        except OSError:
            return None
        for other in names:
            if other.startswith(f".{name}.") and other.endswith(".part") and other != own:
                # Left by a kill or by an earlier attempt: nothing continues it.
                os.unlink(f"{folder}/{other}")
        if own not in names:
            return None
        path = f"{folder}/{own}"
        kept = await self._worker.submit(partial(reopen, path))
        if kept is None:
            return None
        handle, mark, lines = kept
        grown = PartFile(self._worker, handle, path, f"{folder}/{name}", mark)
        return KeptPart(part=grown, size_bytes=mark[0], lines=lines)

    async def publish_part(self, folder: Folder, name: str, *, part: str) -> bool:
        """Gives a closed part file its final name, durably; False when it does not exist."""
        path = f"{folder}/.{part}.part"
        try:
            handle = await self._worker.submit(partial(os.open, path, os.O_RDWR | os.O_CLOEXEC))
        except FileNotFoundError:
            return False
        unflushed = Unflushed(str(folder), [(handle, path, f"{folder}/{name}")])
        # `flush_group` flushes and renames what a function returns; nothing else is left to do.
        await self._worker.submit(lambda: unflushed)
        return True

    async def remove_part(self, folder: Folder, *, part: str) -> None:
        """Deletes a part file that was closed, if there is one."""
        path = Path(f"{folder}/.{part}.part")
        await self._worker.submit(partial(path.unlink, missing_ok=True))


def _write(folder: str, contents: Mapping[str, bytes]) -> Unflushed:
    files: list[tuple[int, str, str]] = []
    # Mostly of a new job: to open a file before there is a folder costs three system calls more.
    # An error is raised by the first file.
    try:  # noqa: SIM105 - `suppress` takes several times as long, for each job
        os.mkdir(folder)
    except OSError:
        pass
    try:
        for name, data in contents.items():
            part = f"{folder}/.{name}.part"
            handle = open_empty(part)
            files.append((handle, part, f"{folder}/{name}"))
            append(handle, data, part)
            if SECRETS.are_in(data):
                warn_of_secret(f"{folder}/{name}")
    except BaseException:
        close_all(files)
        raise
    return Unflushed(folder, files)
