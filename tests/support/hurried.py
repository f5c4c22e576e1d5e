"""
The command, with the pauses that no setting shortens made short.

What holds for hours of waiting is proven on virtual time; real processes are here to be killed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.apify import starts
from orchestrator.apify.policy import sender
from orchestrator.cli.main import main
from orchestrator.scheduler import attempt, run_search, start
from orchestrator.scheduler.decide import retries

SYNC_WAIT_SECS = 1


def hurry() -> None:
    """Makes the pauses of this process short."""
    start.LOOK_EVERY_SECS = 0.2
    start.DOUBT_SECS = 1.0
    run_search.SHORTEST_INTERVAL_SECS = 0.1
    retries.FIRST_DELAY_SECS = 0.2
    sender.ASK_AGAIN_SECS = (0.1, 0.2, 0.3)
    attempt.POSTPONED_SECS = 0.2
    for module in (start, starts):
        vars(module).update(SYNC_WAIT_SECS=SYNC_WAIT_SECS)


def main_hurried(words: Sequence[str]) -> None:
    """The command, with short pauses."""
    hurry()
    main(words)
