"""The command with a bug, and the command without the library of notifications."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from orchestrator.app.batch import lifecycle
from orchestrator.cli.main import main


def main_stumbling(words: Sequence[str]) -> None:
    """The command, in which a step before the first start has a bug."""

    def stumble(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("a bug")

    lifecycle._preflight = stumble
    main(words)


def main_without_apprise(words: Sequence[str]) -> None:
    """The command, where Apprise is not installed."""
    sys.modules["apprise"] = None  # type: ignore[assignment]  # how Python marks a missing module
    main(words)
