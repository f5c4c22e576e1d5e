"""Times for people, in the time zone of the batch."""

from __future__ import annotations

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo


def at_minute(time: datetime, zone: tzinfo) -> str:
    """A time to the minute, such as `2026-11-25 02:15`."""
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M}"


def at_second(time: datetime, zone: tzinfo) -> str:
    """A time to the second, such as `2026-11-25 02:15:07`."""
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def at_hour(time: datetime, zone: tzinfo) -> str:
    """The time of the day, such as `02:15:07`."""
    return f"{time.astimezone(zone):%H:%M:%S}"


def at_day_and_hour(time: datetime, zone: tzinfo) -> str:
    """A time without its year, such as `11-25 02:15`."""
    return f"{time.astimezone(zone):%m-%d %H:%M}"


def zone_words(time: datetime, zone: tzinfo) -> str:
    """The zone with its offset at a time, such as `Europe/Prague, UTC+01:00`."""
    offset = f"{time.astimezone(zone):%z}"
    offset = f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{zone.key}, {offset}" if isinstance(zone, ZoneInfo) else offset
