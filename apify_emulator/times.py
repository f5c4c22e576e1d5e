"""The clock, and how times are written. A moment is a time in seconds since 1970."""

from __future__ import annotations

import time
from functools import lru_cache

_ahead_secs = 0.0


def now() -> float:
    """Returns the clock in whole milliseconds, because the API shows no more digits."""
    return int((time.time() + _ahead_secs) * 1000) / 1000


def set_ahead(seconds: float) -> None:
    """Sets how far the clock is ahead of the wall clock; all emulators of a process share it."""
    global _ahead_secs
    _ahead_secs = seconds


def iso(moment: float) -> str:
    """Returns a moment as the API writes it, in UTC with milliseconds."""
    seconds, millis = divmod(round(moment * 1000), 1000)
    return f"{_to_the_second(seconds)}.{millis:03}Z"


# A list of runs has many times within the same second.
@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso_or_none(moment: float | None) -> str | None:
    """Returns a moment as the API writes it; None stays None."""
    return None if moment is None else iso(moment)
