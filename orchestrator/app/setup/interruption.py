"""How an async function learns that it is to end, and what its caller then sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

import anyio

from orchestrator.app.setup.known_errors import known_error
from orchestrator.loop_clock import loop_time

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestrator.errors import Interrupted

T = TypeVar("T")

Listening = Callable[[Callable[["Interrupted"], None]], AbstractContextManager[None]]
"""
Calls a function in the running event loop when an orderly end is requested, while a context is
open: `signals.listening` for the commands.
"""


async def interruptible(
    listening: Listening,
    function: Callable[..., Awaitable[T]],
    *args: object,
    grace_secs: float = 0.0,
) -> T:
    """
    Awaits an async function, and cancels it when an orderly end is requested.

    Args:
        grace_secs: how much longer the function may take then.

    Raises:
        Interrupted: the function was cancelled.
        OrchestratorError: as the function; also if a task group has wrapped it.
    """
    reason: Interrupted | None = None

    def stop(request: Interrupted) -> None:
        nonlocal reason
        reason = request
        scope.deadline = loop_time() + grace_secs

    try:
        with anyio.CancelScope() as scope, listening(stop):
            return await function(*args)
    # A task group wraps an error, and users must see the error itself.
    except ExceptionGroup as group:
        error = known_error(group)
        if error is None:
            raise
        raise error from group
    assert reason is not None  # noqa: S101 - nothing else cancels the scope
    raise reason


async def listen(
    listening: Listening,
    on_request: Callable[[Interrupted], None],
    *,
    task_status: TaskStatus[None],
) -> None:
    """Listens until cancelled."""
    with listening(on_request):
        task_status.started()
        await anyio.sleep_forever()
