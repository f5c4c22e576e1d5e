"""The command with a scheduler that forgets each job that is made of an item."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.main import main
from orchestrator.scheduler.loop import Scheduler


def main_forgetful(words: Sequence[str]) -> None:
    """Runs the command; the scheduler takes no new job."""
    Scheduler.add_new = lambda _self, _queued: None  # type: ignore[method-assign,assignment]
    main(words)
