"""
The files of each attempt of a job, once it has more than one: `attempts/<number>/`.

The folder of the job holds those of the last attempt that was collected. Files are links to the
same data, because a later attempt replaces them and never changes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread

from orchestrator.store.disk_writes import flush_path, link_or_copy, translated

ATTEMPTS = "attempts"
KEPT = ("run.json", "log.txt", "input.json")


@asynccontextmanager
async def keeping_attempts(folder: Path, number: int) -> AsyncIterator[None]:
    """
    Keeps the files that the block writes as those of an attempt.

    Args:
        folder: of the job.

    Raises:
        DiskFull, OutputLost.
    """
    if number > 1:
        await to_thread.run_sync(_keep_first, folder)
    yield
    if number > 1:
        await to_thread.run_sync(_keep, folder, number)


def _keep_first(folder: Path) -> None:
    """Keeps those of the first attempt, which the files of the second one replace."""
    # Every later attempt keeps its own files, so only the first one has none there.
    if folder.exists() and not (folder / ATTEMPTS).exists():
        _keep(folder, 1)


def _keep(folder: Path, number: int) -> None:
    target = folder / ATTEMPTS / str(number)
    with translated(str(target)):
        target.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            if (folder / name).exists():
                part = target / f".{name}.part"
                part.unlink(missing_ok=True)
                link_or_copy(folder / name, part)
                part.replace(target / name)
        for path in (target, target.parent, folder):
            flush_path(path)
