"""
SIGINT and SIGTERM: the first asks for an orderly end, the second ends the process at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

from orchestrator.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def listen(
    on_signal: Callable[[Interrupted], None],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """
    Calls `on_signal` at the first signal; runs until cancelled.

    A second signal ends the process without any more ado: the ledger is as safe as after a kill.
    """
    with anyio.open_signal_receiver(*SIGNALS) as received:
        task_status.started()
        first = True
        async for number in received:
            if not first:
                os._exit(128 + number)
            first = False
            on_signal(Interrupted(number))
