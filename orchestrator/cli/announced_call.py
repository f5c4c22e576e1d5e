"""Announces the end of a call of `orchestrator run`, also of one that cannot begin."""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.notifications.announcement import uninterrupted
from orchestrator.app.setup.caller import TERMINAL, caller
from orchestrator.app.setup.known_errors import known_error
from orchestrator.app.setup.settings import load_settings, settings_of_urls
from orchestrator.app.setup.signals import listening
from orchestrator.cli.error_exit import print_error
from orchestrator.cli.event_loop import run_to_end
from orchestrator.errors import BatchHeld, OrchestratorError, UsageError
from orchestrator.event_log import configure_logs
from orchestrator.pasted_command import pasted_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.app.notifications.announcer import Announcer


@dataclass
class Call:
    """
    One call of `orchestrator run`, whose end is announced also if no batch begins.

    Attributes:
        announcer: set once the spec is read; None if nobody is to hear of anything.
        held_is_success: whether the exit code is 0 when another process works for the occurrence.
    """

    options: argparse.Namespace
    announcer: Announcer | None = None
    held_is_success: bool = False

    def perform(self, work: Callable[[Call], int]) -> int:
        """Does the work of the call, announces its end and returns its exit code."""
        try:
            code = work(self)
        except Exception as error:
            known = known_error(error)
            if not isinstance(known, BatchHeld):
                self.announce_failure(known)
                raise
            # Another process works for this occurrence, and announces its end.
            if not self.held_is_success:
                raise
            print_error(known, as_json=self.options.json)
            return 0
        if self.announcer is not None:
            _announce(self.announcer.correct, code)
        return code

    def announce_failure(self, error: OrchestratorError | None) -> None:
        """Announces the error that ends the call; None for a bug."""
        code = OrchestratorError.exit_code if error is None else error.exit_code
        if self.announcer is not None and code in self.announcer.announced:
            _announce(self.announcer.correct, code)
            return
        name, announcer = self._found()
        if announcer.addresses:
            words = pasted_command("run", self.options.spec)
            _announce(announcer.announce_failure, name, words, code, error)

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


def announce_wrong_arguments(words: Sequence[str], mistake: str) -> None:
    """
    Announces a call of `run` with arguments that cannot be parsed, unless a person reads it.

    Args:
        words: the arguments after `run`; the first that names a file is taken for the spec.
        mistake: what is wrong with them.
    """
    if caller() == TERMINAL:
        return
    paths = (Path(word) for word in words if not word.startswith("-"))
    spec = next((path for path in paths if path.suffix and path.is_file()), Path("SPEC"))
    options = argparse.Namespace(spec=spec, config=None, log_format="auto")
    Call(options).announce_failure(UsageError(mistake))


def _announce(function: Callable[..., Awaitable[None]], *args: object) -> None:
    run_to_end(uninterrupted, listening, function, *args)
