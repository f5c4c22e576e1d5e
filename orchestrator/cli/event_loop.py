"""The event loop of a command, which a signal ends."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from orchestrator.app.setup.process_limits import require_some
from orchestrator.app.setup.signals import listening
from orchestrator.cli.known_errors import known_error
from orchestrator.errors import Interrupted

T = TypeVar("T")


def in_event_loop(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """
    Runs an async function in an event loop of its own.

    Raises:
        Interrupted: a signal has cancelled the function.
        OrchestratorError: as the function; also if a task group has wrapped it.
        ConfigError: the limit of open files of the process is too low.
    """
    require_some()
    options = {"use_uvloop": sys.platform != "win32"}
    try:
        return anyio.run(partial(_interruptible, function, *args), backend_options=options)
    # A task group wraps an error, and users must see the error itself.
    except ExceptionGroup as group:
        error = known_error(group)
        if error is None:
            raise
        raise error from group


async def _interruptible(function: Callable[..., Awaitable[T]], *args: object) -> T:
    reason: Interrupted | None = None

    def stop(signal: Interrupted) -> None:
        nonlocal reason
        reason = signal
        scope.cancel()

    with anyio.CancelScope() as scope, listening(stop):
        return await function(*args)
    assert reason is not None  # noqa: S101 - nothing else cancels the scope
    raise reason
