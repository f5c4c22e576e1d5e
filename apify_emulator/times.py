"""The clock, and how moments are written."""

from __future__ import annotations

import time
from functools import lru_cache


def now() -> float:
    """
    Returns the wall clock in seconds, cut to milliseconds: what the API shows is what we compare.
    """
    return int(time.time() * 1000) / 1000


def iso(moment: float) -> str:
    """Returns a moment as the API writes it, in UTC with milliseconds."""
    seconds, millis = divmod(round(moment * 1000), 1000)
    return f"{_to_the_second(seconds)}.{millis:03}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso_or_none(moment: float | None) -> str | None:
    """Returns a moment as the API writes it, null where there is none."""
    return None if moment is None else iso(moment)
