"""The event loop of a command, which a signal ends."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from orchestrator.app.setup.interruption import interruptible
from orchestrator.app.setup.process_limits import require_some
from orchestrator.app.setup.signals import listening

T = TypeVar("T")


def in_event_loop(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """
    Runs an async function in an event loop of its own; the first signal cancels it.

    Raises:
        Interrupted: a signal has cancelled the function.
        OrchestratorError: as the function; also if a task group has wrapped it.
        ConfigError: the limit of open files of the process is too low.
    """
    result: T = run_to_end(interruptible, listening, function, *args)
    return result


def run_to_end(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """
    Runs an async function in an event loop of its own; a signal is its own concern.

    While the function listens to no signal, one ends the process at once.

    Raises:
        ConfigError: the limit of open files of the process is too low.
    """
    require_some()
    options = {"use_uvloop": sys.platform != "win32"}
    return anyio.run(partial(function, *args), backend_options=options)
