"""When to send a request again: exponential pauses with full jitter, and an end by time."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from orchestrator.apify.http.headers import http_date, whole_number
from orchestrator.backoff import pause_secs

FIRST_SECS = 0.5
LONGEST_SECS = 30.0
LONGEST_ASKED_SECS = 60.0
"""The longest pause that the platform may ask for: its rate limits count by the second."""
LONGEST_CREDIBLE_SECS = 3600.0
"""A longer pause is a mistake, such as that of a gateway with another clock."""


def retry_pause_secs(repeats: int) -> float:
    """
    The longest pause before something is asked of the platform again.

    Args:
        repeats: how many pauses there were before.
    """
    return pause_secs(repeats, first_secs=FIRST_SECS, longest_secs=LONGEST_SECS)


class Backoff:
    """
    The pauses of one request, and their end.

    Args:
        give_up_at: on the clock of `now`; a pause that would reach it is not taken.
        rng: where the jitter comes from.

    Attributes:
        repeats: how many pauses were given so far.
    """

    __slots__ = ("_give_up_at", "_rng", "repeats")

    def __init__(self, give_up_at: float, rng: random.Random) -> None:
        self._give_up_at = give_up_at
        self._rng = rng
        self.repeats = 0

    def pause(self, now: float, at_least_secs: float = 0.0) -> float | None:
        """
        How long to pause before the next try; None when it is time to give up.

        Args:
            at_least_secs: what the platform asked for.
        """
        # Full jitter: requests that failed together must not return together.
        secs = max(self._rng.uniform(0.0, retry_pause_secs(self.repeats)), at_least_secs)
        if now + secs >= self._give_up_at:
            return None
        self.repeats += 1
        return secs


def retry_after_secs(text: str | None, now: datetime | None = None) -> float | None:
    """
    The pause that a `Retry-After` header asks for, in seconds, at most `LONGEST_ASKED_SECS`.

    None where it is neither a number nor a date, or asks for more than an hour.

    Args:
        text: a number of seconds or a date.
        now: the clock that dates are of; the machine's where it is not known.
    """
    secs: float | None = whole_number(text)
    if secs is None and (at := http_date(text)) is not None:
        secs = max((at - (now or datetime.now(UTC))).total_seconds(), 0.0)
    if secs is None or secs > LONGEST_CREDIBLE_SECS:
        return None
    return min(secs, LONGEST_ASKED_SECS)
