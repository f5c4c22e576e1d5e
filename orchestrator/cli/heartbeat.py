"""The file by which a liveness probe sees that the event loop of a command runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio

from orchestrator.errors import ConfigError
from orchestrator.system_errors import error_of

EVERY_SECS = 10.0

T = TypeVar("T")


async def beating(path: Path | None, function: Callable[..., Awaitable[T]], *args: object) -> T:
    """
    Awaits an async function, and touches a file meanwhile.

    Args:
        path: of the file; None for none.

    Raises:
        ConfigError: the file cannot be written; the function was not called.
    """
    if path is None:
        return await function(*args)
    _check(path)
    results: list[T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_beat, path, name="heartbeat")
        results.append(await function(*args))
        tasks.cancel_scope.cancel()
    return results[0]


async def _beat(path: Path) -> None:
    while True:
        await anyio.sleep(EVERY_SECS)
        _touch(path)


def _check(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        advice = "correct ORCHESTRATOR_HEARTBEAT_FILE"
        raise error_of(error, path, "written", otherwise=ConfigError, advice=advice) from error


def _touch(path: Path) -> None:
    # A probe sees that the file is old.
    with suppress(OSError):
        path.touch()
