"""Gives a prepared batch its number and its final name, one process at a time."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from orchestrator.app.batch_folders import LEDGER, Found, point_latest, survey
from orchestrator.errors import BatchHeld
from orchestrator.ledger.amendments import set_number
from orchestrator.model.batches import Batch
from orchestrator.store.disk_writes import flush_path, try_lock

NUMBER = ".number"
"""The file with the highest number of a name."""

LOOK_EVERY_SECS = 0.02
TURN_SECS = 30.0
"""To publish a batch takes milliseconds, or seconds with a ledger at a server."""


async def publish(
    prepared: Path,
    batch: Batch,
    objection: Callable[[Found], BatchHeld | None],
    serves: str | None = None,
    turn_secs: float = TURN_SECS,
) -> Path:
    """
    Gives a prepared batch its number and its final name, and updates `latest`.

    Args:
        objection: why an existing batch forbids this one; None if it does not.
        serves: of a batch that several processes share: its series and occurrence.
        turn_secs: how long another process that does the same is waited for.

    Returns:
        the folder.

    Raises:
        BatchHeld: one does, or that process is paused; the prepared batch is not published.
    """
    home = prepared.parent
    async with _turn(home, turn_secs):
        folder = _number_and_rename(prepared, batch, objection, serves)
    for path in (home, home.parent):
        flush_path(path)
    return folder


def _number_and_rename(
    prepared: Path,
    batch: Batch,
    objection: Callable[[Found], BatchHeld | None],
    serves: str | None,
) -> Path:
    home = prepared.parent
    folder = home / batch.id

    def choose_number() -> int:
        found = survey(home).found
        for one in found:
            refusal = objection(one)
            if refusal is not None:
                raise refusal
        number = 1 + max([_highest(home), *(one.number for one in found)])
        _keep(home, number)
        return number

    set_number(prepared / LEDGER, choose_number, serves)
    prepared.rename(folder)
    point_latest(folder, batch.name)
    return folder


def _highest(home: Path) -> int:
    """The highest number that a batch of a name has had here, also if it was removed since."""
    try:
        return int((home / NUMBER).read_text())
    except (OSError, ValueError):
        # The batches that are there show it.
        return 0


def _keep(home: Path, number: int) -> None:
    """Keeps a number from being given again: the keys of removed batches are known by theirs."""
    new = home / f"{NUMBER}.new"
    # Whoever removes no batch does not need it.
    with suppress(OSError):
        new.write_text(f"{number}\n")
        new.replace(home / NUMBER)


@asynccontextmanager
async def _turn(home: Path, longest_secs: float) -> AsyncIterator[None]:
    """Lets one process of this machine at a time give a number to a batch of this name."""
    until = time.monotonic() + longest_secs
    handle = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while not try_lock(handle):
            if time.monotonic() >= until:
                raise BatchHeld(
                    f"{home}: another process has been publishing a batch there for "
                    f"{longest_secs:g} s, so it is paused, or its disk or the server of its ledger "
                    "is slow: continue it, or stop it"
                )
            # Awaited only here: with the lock, nothing interrupts the process.
            await anyio.sleep(LOOK_EVERY_SECS)
        yield
    finally:
        os.close(handle)
