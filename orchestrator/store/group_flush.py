"""
Flushes what a group of writes has written: all files, then all renames, then all folders.

One round of flushes serves many tasks. A file has its final name only after its bytes are durable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from orchestrator.group_worker import Work, run_each
from orchestrator.store.disk_writes import flush_path, translated


@dataclass(frozen=True, slots=True)
class Unflushed:
    """Files of one folder that are written but not flushed: open handles with their two names."""

    folder: str
    files: Sequence[tuple[int, str, str]]


def flush_group(group: Sequence[Work]) -> None:
    """Performs a group of writes, flushes its files, renames them, then flushes their folders."""
    run_each(group)
    pending = [work for work in group if isinstance(work.result, Unflushed)]
    # A file that fails one step skips the next ones: it is never renamed without its bytes.
    for step in (_flush, _rename, _flush_folder):
        for work in pending:
            if work.error is None:
                work.error = _error_of(step, work.result)
    for work in pending:
        work.result = None


def _flush(unflushed: Unflushed) -> None:
    with ExitStack() as after:
        for handle, _, _ in unflushed.files:
            after.callback(os.close, handle)
        for handle, _, _ in unflushed.files:
            os.fsync(handle)


def _rename(unflushed: Unflushed) -> None:
    for _, part, final in unflushed.files:
        os.replace(part, final)


def _flush_folder(unflushed: Unflushed) -> None:
    flush_path(unflushed.folder)


def _error_of(step: Callable[[Unflushed], None], unflushed: Unflushed) -> Exception | None:
    try:
        with translated(unflushed.folder):
            step(unflushed)
    except Exception as error:  # noqa: BLE001 - handed to the task that waits
        return error
    return None
