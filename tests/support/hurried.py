"""
The command, with the pauses that no setting shortens made short.

What holds for hours of waiting is proven on virtual time; real processes are here to be killed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.main import main
from orchestrator.client import sending, starts
from orchestrator.scheduler import attempts, driving, finding, starting

SYNC_WAIT_SECS = 1


def hurry() -> None:
    """
    Makes the pauses of this process short.
    """
    starting.LOOK_EVERY_SECS = 0.2
    starting.DOUBT_SECS = 1.0
    finding.SHORTEST_INTERVAL_SECS = 0.1
    attempts.FIRST_DELAY_SECS = 0.2
    sending.ASK_AGAIN_SECS = (0.1, 0.2, 0.3)
    driving.POSTPONED_SECS = 0.2
    for module in (starting, starts):
        vars(module).update(SYNC_WAIT_SECS=SYNC_WAIT_SECS)


def main_hurried(words: Sequence[str]) -> None:
    """
    The command, with short pauses.
    """
    hurry()
    main(words)
