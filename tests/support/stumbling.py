"""The command with a bug, killed before an announcement, and without the library for it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from orchestrator.app.batch import lifecycle
from orchestrator.app.notifications.announcer import Announcer
from orchestrator.cli.main import main


def main_stumbling(words: Sequence[str]) -> None:
    """Runs the command; a step before the first start has a bug."""

    def stumble(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("a bug")

    lifecycle._preflight = stumble
    main(words)


def main_killed_before_it_announces(words: Sequence[str]) -> None:
    """The command, killed when a batch has ended and nobody has heard of it."""

    async def die(*_: object) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("alive")

    setattr(Announcer, Announcer.announce.__name__, die)  # what a power cut does
    main(words)


def main_without_apprise(words: Sequence[str]) -> None:
    """Runs the command without Apprise."""
    sys.modules["apprise"] = None  # type: ignore[assignment]  # how Python marks a missing module
    main(words)
