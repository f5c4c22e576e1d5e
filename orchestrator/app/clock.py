"""
The wall clock, in UTC.

A process reads the wall clock of the machine once, and counts on from there by a clock that is
never set. So durations and the order of events stay right when the machine's clock is set while a
batch runs, for example by NTP.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

import anyio

from orchestrator.event_log import LOG

# Both clocks also count while the machine sleeps.
_STEADY = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC

JUMP_SECS = 5
"""A smaller difference between the two clocks is not worth a warning."""

CHECK_EVERY_SECS = 30.0


def wall_now() -> datetime:
    """The present time by the machine's clock, which may be set at any moment."""
    return datetime.now(UTC)


_BEGIN, _STEADY_BEGIN = wall_now(), time.clock_gettime(_STEADY)


def utc_now() -> datetime:
    """The present time, counted from the time that the machine showed when this process began."""
    return _BEGIN + timedelta(seconds=time.clock_gettime(_STEADY) - _STEADY_BEGIN)


async def watch_clock() -> None:
    """Warns each time that somebody sets the clock of the machine; until cancelled."""
    before = _ahead()
    try:
        while True:
            await anyio.sleep(CHECK_EVERY_SECS)
            before = _compare(before)
    finally:
        # Most batches are short.
        _compare(before)


def _ahead() -> timedelta:
    return wall_now() - utc_now()


def _compare(before: timedelta) -> timedelta:
    ahead = _ahead()
    secs = round((ahead - before).total_seconds())
    if abs(secs) < JUMP_SECS:
        return before
    LOG.warning(
        "clock_set",
        by_secs=secs,
        consequence="this command records times by the clock as it was when it began",
    )
    return ahead
