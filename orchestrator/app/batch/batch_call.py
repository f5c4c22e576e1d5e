"""One call that works on a batch: drives it, says how it was left, and announces that."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result
from orchestrator.app.notifications.announcement import announce
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.interruption import interruptible
from orchestrator.errors import LeftForNextOccurrence


async def drive_batch(
    function: Callable[..., Awaitable[Result]],
    folder: Path,
    context: BatchContext,
    *args: object,
    is_earlier: bool = False,
) -> int:
    """
    Drives a batch: the commands and the Python API have no other way.

    Args:
        function: of `lifecycle`: what to do with the batch.
        is_earlier: whether the batch is one of an earlier occurrence.

    Returns:
        the exit code.
    """
    context = _traced(context)
    try:
        result = await interruptible(context.listening, function, folder, context, *args)
    except BaseException:
        if context.metrics is not None:
            context.metrics.finish(None)
        raise
    if context.trace is not None:
        context.trace.finish(result.batch)
    if context.metrics is not None:
        context.metrics.finish(result.folder)
    code = result.batch.exit_code or 0
    is_left = isinstance(result.reason, LeftForNextOccurrence)
    try:
        context.reporter.ended(result, is_earlier=is_earlier)
    finally:
        if not is_left:
            await announce(context, result, code)
    # The next occurrence continues the work, so this call needs no attention.
    return 0 if is_left else code


def _traced(context: BatchContext) -> BatchContext:
    """The context with a trace of the batch, if the environment asks for one."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return context
    # Most calls need no trace.
    from orchestrator.app.monitoring.trace import trace_of

    return replace(context, trace=trace_of(os.environ))
