"""The command with a bug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from orchestrator.cli.commands import list as list_command
from orchestrator.cli.main import main


def main_with_a_bug(words: Sequence[str]) -> None:
    """Runs the command; its `list` divides by zero."""
    list_command.call = _fail  # type: ignore[assignment]
    main(words)


def _fail(_options: object) -> NoReturn:
    raise ZeroDivisionError("a bug")
