"""Announces how a call leaves a batch; what fails here changes neither the batch nor the code."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result, result_of
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.interruption import Listening, interruptible
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import BatchHeld, Interrupted, OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.model.batches import NotifyPlan

SIGNAL_SECS = 3.0
"""How long an announcement may take after a signal: the process leaves within 10 seconds."""


def announcing(context: BatchContext, plan: NotifyPlan | None) -> BatchContext:
    """
    The context with an announcer, if somebody is to hear of the end of a batch.

    Args:
        plan: the `[notify]` of the spec.

    Raises:
        ConfigError: notifications are wanted, and their library is not installed.
    """
    settings = context.settings
    if plan is None and not _has_urls(settings):
        return context
    from orchestrator.app.notifications.announcer import Announcer
    from orchestrator.app.notifications.recipients import addresses_of, require_library

    addresses = addresses_of(plan, settings, os.environ)
    require_library(addresses)
    if not addresses:
        return context
    announcer = Announcer(
        addresses=addresses, sink=context.sink, timeout_secs=settings.notify_timeout_secs
    )
    return replace(context, announcer=announcer)


async def announce(context: BatchContext, result: Result, code: int) -> None:
    """Announces how this process left a batch."""
    if context.announcer is not None:
        await uninterrupted(context.listening, context.announcer.announce, result, code)


async def announce_error(context: BatchContext, folder: Path, error: OrchestratorError) -> None:
    """Announces that a batch could not be resumed, unless that is what ended it before."""
    if context.announcer is not None and not isinstance(error, BatchHeld):
        left = result_of(folder)
        batch = replace(left.batch, stop_kind=type(error).__name__, stop_reason=str(error))
        await announce(context, replace(left, batch=batch), error.exit_code)


async def announce_given_up(context: BatchContext, folder: Path) -> None:
    """Announces that no later call resumes an interrupted batch."""
    if context.announcer is not None:
        await uninterrupted(context.listening, context.announcer.announce_given_up, folder)


async def uninterrupted(
    listening: Listening, function: Callable[..., Awaitable[None]], *args: object
) -> None:
    """Announces something; a signal leaves little time, and nothing here changes the exit code."""
    try:
        # A signal while the batch was closed is heard here: its end is news all the same.
        await interruptible(listening, function, *args, grace_secs=SIGNAL_SECS)
    except Interrupted:
        LOG.warning("announcement_failed", error=f"not sent within {SIGNAL_SECS:g} s of a signal")
    except Exception as error:  # noqa: BLE001 - an announcement that fails is only a warning
        LOG.warning("announcement_failed", error=str(error))


def _has_urls(settings: Settings) -> bool:
    return bool(
        settings.notify_urls
        or settings.notify_urls_below_spec
        or settings.ping_url
        or settings.ping_url_below_spec
    )
