"""
Flushes what a group of writes has written: all files, then all renames, then all folders.

One round of flushes serves many tasks. A file has its final name only after its bytes are durable,
and its task continues only when its name is, and the name of its folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from orchestrator.group_worker import Work, run_each
from orchestrator.store.disk_writes import flush_path, write_error


class Unflushed(NamedTuple):
    """Files of one folder that are written but not flushed: open handles with their two names."""

    folder: str
    files: Sequence[tuple[int, str, str]]


def close_all(files: Sequence[tuple[int, str, str]]) -> None:
    """Closes all files, also if some cannot be closed."""
    for number, (handle, _, _) in enumerate(files):
        try:
            os.close(handle)
        except BaseException:
            close_all(files[number + 1 :])
            raise


def flush_group(group: Sequence[Work]) -> None:
    """Performs a group of writes, flushes its files, renames them, then flushes their folders."""
    run_each(group)
    pending = [work for work in group if isinstance(work.result, Unflushed)]
    flush_folder = partial(_flush_folder, flushed=set())
    # A file that fails one step skips the next ones: it is never renamed without its bytes.
    for step in (_flush, _rename, flush_folder):
        for work in pending:
            if work.error is None:
                work.error = _error_of(step, work.result)
    for work in pending:
        work.result = None


def _flush(unflushed: Unflushed) -> None:
    try:
        for handle, _, _ in unflushed.files:
            os.fsync(handle)
    finally:
        close_all(unflushed.files)


def _rename(unflushed: Unflushed) -> None:
    for _, part, final in unflushed.files:
        os.replace(part, final)


def _flush_folder(unflushed: Unflushed, flushed: set[str]) -> None:
    """Flushes a folder, and the one that holds its name unless this group has flushed that."""
    # Not `os.path.dirname`, which takes longer than the rest of this.
    for folder in (unflushed.folder, unflushed.folder.rpartition("/")[0]):
        if folder not in flushed:
            flush_path(folder)
            flushed.add(folder)


def _error_of(step: Callable[[Unflushed], None], unflushed: Unflushed) -> Exception | None:
    try:
        step(unflushed)
    except OSError as error:
        ours = write_error(error, unflushed.folder)
        ours.__cause__ = error
        return ours
    except Exception as error:  # noqa: BLE001 - handed to the task that waits
        return error
    return None
