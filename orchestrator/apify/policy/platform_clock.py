"""The platform's time, learnt from the `Date` header of its answers (RFC 9110)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from orchestrator.apify.http.headers import http_date

# In this time two clocks drift apart by milliseconds only, and headers have whole seconds.
RENEW_SECS = 30.0

Reading = tuple[datetime, float]
"""What the platform's clock showed, in whole seconds, and when that was by the loop's clock."""


class PlatformClock:
    """
    The latest reading of the platform's clock.

    Attributes:
        reading: None before the first answer.
        renew_at: by the loop's clock; a later answer is read again.
    """

    __slots__ = ("reading", "renew_at")

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.renew_at = float("-inf")

    def read(self, headers: Mapping[str, str], now: float) -> None:
        """Takes the time from an answer that arrives now, by the loop's clock."""
        at = http_date(headers.get("Date"))
        if at is not None:
            self.reading = at, now
            self.renew_at = now + RENEW_SECS

    def time(self, now: float) -> datetime | None:
        """What the clock shows now, or up to two seconds earlier; None before any answer."""
        if self.reading is None:
            return None
        at, read_at = self.reading
        # By place: a keyword takes twice as long, and each start and end of a run needs the time.
        return at + timedelta(0, now - read_at)
