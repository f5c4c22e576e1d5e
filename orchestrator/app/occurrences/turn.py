"""Locks that let one call at a time work for an occurrence of a series, or make its batch."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from orchestrator.app.setup.interruption import Listening, interruptible
from orchestrator.errors import BatchHeld, OutputNotWritable
from orchestrator.event_log import LOG
from orchestrator.ledger.location import configured_address
from orchestrator.model.batches import Series

if TYPE_CHECKING:
    from orchestrator.ledger.postgres.making_turn import MakingTurn

CALLS = ".calls"
LOOK_EVERY_SECS = 0.1
MOMENT_SECS = 5.0
MAKING_SECS = 300.0
"""A process that has not made its batch by then may be paused; the others wait no longer."""


@contextmanager
def occurrence_turn(home: Path, series: Series, occurrence: datetime) -> Iterator[None]:
    """
    Locks an occurrence for this process, also while it waits or makes the batch.

    The system locks one byte of a file of the series; the offset is the minute of the occurrence.
    So no files remain, and the lock of a process that dies is released.

    Raises:
        BatchHeld: another call holds it.
        OutputNotWritable: the file cannot be made.
    """
    # Without the account, because one of two calls may not know it.
    path = home / CALLS / replace(series, account=None).id
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputNotWritable(
            f"{path}: the output folder cannot be written ({error.strerror}); choose another with "
            "--output, or correct its permissions"
        ) from error
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(occurrence.timestamp()) // 60)
        yield
    except BlockingIOError as error:
        raise BatchHeld(
            f"another `run --resume` is running for the occurrence {occurrence.isoformat()}"
        ) from error
    finally:
        os.close(handle)


@asynccontextmanager
async def making_turn(
    serves: str, listening: Listening, note: Callable[[str], None]
) -> AsyncIterator[None]:
    """
    Waits until a batch that several processes share is made, or is for this process to make.

    Only saves work: publishing a batch fails where another process has published it.

    Args:
        serves: see `Series.serves`.
        note: tells the user of a wait that is long.

    Raises:
        LedgerAway: the server of the ledger cannot be reached.
        Interrupted: an orderly end was requested.
    """
    # psycopg takes time to load, and only ledgers at a server need it.
    from orchestrator.ledger.postgres.making_turn import MakingTurn

    address = configured_address()
    assert address is not None  # noqa: S101 - several processes share a ledger at a server only
    with MakingTurn(address, serves) as turn:
        await interruptible(listening, _until_over, turn, note)
        yield


async def _until_over(turn: MakingTurn, note: Callable[[str], None]) -> None:
    if turn.is_over():
        return
    LOG.info("batch_awaited")
    if not await _is_over_within(turn, MOMENT_SECS):
        note(
            "another process is making the batch of this occurrence, or is paused; waiting up to "
            f"{MAKING_SECS:g} s"
        )
        await _is_over_within(turn, MAKING_SECS)


async def _is_over_within(turn: MakingTurn, secs: float) -> bool:
    with anyio.move_on_after(secs):
        while not await anyio.to_thread.run_sync(turn.is_over):  # noqa: ASYNC110 - its lock is the server's
            await anyio.sleep(LOOK_EVERY_SECS)
        return True
    return False
