"""Announces how a command ends: a batch, the whole call, and a call that cannot begin."""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.app.batch.lifecycle import Result, result_of
from orchestrator.app.setup.context import BatchContext
from orchestrator.app.setup.settings import Settings, load_settings, settings_of_urls
from orchestrator.cli.event_loop import in_event_loop
from orchestrator.cli.known_errors import known_error
from orchestrator.errors import BatchHeld, Interrupted, OrchestratorError
from orchestrator.event_log import LOG, configure_logs
from orchestrator.model.batches import NotifyPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.app.notifications.announcer import Announcer


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


def announce(context: BatchContext, result: Result, code: int) -> None:
    """Announces how this process left a batch."""
    if context.announcer is not None:
        _uninterrupted(context.announcer.announce, result, code)


def announce_error(context: BatchContext, folder: Path, error: OrchestratorError) -> None:
    """Announces that a batch could not be resumed, unless that is what ended it before."""
    if context.announcer is not None and not isinstance(error, BatchHeld):
        left = result_of(folder)
        batch = replace(left.batch, stop_kind=type(error).__name__, stop_reason=str(error))
        announce(context, replace(left, batch=batch), error.exit_code)


def announce_given_up(context: BatchContext, folder: Path) -> None:
    """Announces that no later call resumes an interrupted batch."""
    if context.announcer is not None:
        _uninterrupted(context.announcer.announce_given_up, folder)


@dataclass
class Call:
    """
    One call of `orchestrator run`, whose end is announced also if no batch begins.

    Attributes:
        announcer: set once the spec is read; None if nobody is to hear of anything.
    """

    options: argparse.Namespace
    announcer: Announcer | None = None

    def perform(self, work: Callable[[Call], int]) -> int:
        """Does the work of the call, announces its end and returns its exit code."""
        try:
            code = work(self)
        except Exception as error:
            known = known_error(error)
            # Another process works for this occurrence, and announces its end.
            if not isinstance(known, BatchHeld):
                self._announce_failure(known)
            raise
        if self.announcer is not None:
            _uninterrupted(self.announcer.correct, code)
        return code

    def _announce_failure(self, error: OrchestratorError | None) -> None:
        code = OrchestratorError.exit_code if error is None else error.exit_code
        if self.announcer is not None and code in self.announcer.told:
            _uninterrupted(self.announcer.correct, code)
            return
        name, announcer = self._found()
        if announcer.addresses:
            words = f"orchestrator run {self.options.spec}"
            _uninterrupted(announcer.announce_failure, name, words, code, error)

    def _found(self) -> tuple[str, Announcer]:
        """The name of the batch and an announcer, from a spec and settings with mistakes too."""
        from orchestrator.app.notifications.announcer import Announcer
        from orchestrator.app.notifications.recipients import addresses_of
        from orchestrator.specfile.notify_urls import name_and_plan_in

        name, plan = name_and_plan_in(self.options.spec)
        name = name or self.options.spec.stem
        if self.announcer is not None:
            return name, self.announcer
        configure_logs(level="warning", as_json=self.options.log_format == "json")
        try:
            settings = load_settings(config=self.options.config, flags={})
        except OrchestratorError:
            settings = settings_of_urls()
        addresses = addresses_of(plan, settings, os.environ)
        secs = settings.notify_timeout_secs
        return name, Announcer(addresses=addresses, sink=None, timeout_secs=secs)


def _has_urls(settings: Settings) -> bool:
    return bool(
        settings.notify_urls
        or settings.notify_urls_below_spec
        or settings.ping_url
        or settings.ping_url_below_spec
    )


def _uninterrupted(function: Callable[..., Awaitable[None]], *args: object) -> None:
    """Announces something; a signal ends this early, and nothing here changes the exit code."""
    try:
        in_event_loop(function, *args)
    except Interrupted:
        pass
    except Exception as error:  # noqa: BLE001 - an announcement that fails is only a warning
        LOG.warning("announcement_failed", error=str(error))
