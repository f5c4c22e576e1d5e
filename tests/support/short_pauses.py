"""
The command with short pauses, also where no setting shortens them.

Tests on virtual time prove what holds for hours of waiting. Real processes are used to test kills.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.main import main
from orchestrator.scheduler.timings import Timings

TIMINGS = Timings(
    search_interval_secs=0.2,
    list_interval_secs=0.1,
    list_patience_secs=1.0,
    late_delivery_secs=0.0,
    resend_spread_secs=0.2,
    postponed_secs=0.2,
    first_delay_secs=0.2,
    sync_wait_secs=1.0,
    refusal_pauses_secs=(0.1, 0.2, 0.3),
)


def main_with_short_pauses(words: Sequence[str]) -> None:
    """Runs the command with short pauses."""
    main(words, timings=TIMINGS)
