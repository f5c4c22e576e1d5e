"""
The command, with the pauses that no setting shortens made short.

What holds for hours of waiting is proven on virtual time; real processes are here to be killed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.main import main
from orchestrator.scheduler.timings import Timings

TIMINGS = Timings(
    search_interval_secs=0.2,
    list_interval_secs=0.1,
    list_patience_secs=1.0,
    postponed_secs=0.2,
    first_delay_secs=0.2,
    sync_wait_secs=1.0,
    refusal_pauses_secs=(0.1, 0.2, 0.3),
)


def main_hurried(words: Sequence[str]) -> None:
    """The command, with short pauses."""
    main(words, timings=TIMINGS)
