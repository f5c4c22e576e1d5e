"""The times of a schedule that do not exist, because the clock is put forward. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim

from orchestrator.model.schedule import Schedule, expand

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """
    A time of the schedule that the clock skips.

    Attributes:
        skipped: the first such time on the clock of the zone; naive.
        ends: the first time on that clock after the gap; naive.
    """

    skipped: datetime
    ends: datetime


def gaps(schedule: Schedule, after: datetime, years: int) -> list[Gap]:
    """
    The times of a schedule that its zone skips; they come at the end of the gap.

    Args:
        after: aware; gaps before it do not count.
        years: how far ahead to look.
    """
    parts = expand(schedule.text).split()
    if len(parts) != FIELDS or any(part.startswith("*") for part in parts[:2]):
        # Such a schedule counts elapsed time, and a change of the clock does not matter.
        return []
    found = []
    for begins, ends in _forward_changes(schedule.zone, after, years):
        # Without a zone, the search knows no summer time.
        skipped = next(CronSim(expand(schedule.text), begins - timedelta(seconds=1)), None)
        if skipped is not None and skipped < ends:
            found.append(Gap(skipped=skipped, ends=ends))
    return found


def _forward_changes(
    zone: tzinfo, after: datetime, years: int
) -> Iterator[tuple[datetime, datetime]]:
    """The begin and the end, on the clock of the zone, of each hour that it skips."""
    instant = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    until = instant + timedelta(days=366 * years)
    offset = instant.astimezone(zone).utcoffset() or timedelta()
    while instant < until:
        # No zone changes its clock twice in a day.
        is_quiet = (instant + DAY).astimezone(zone).utcoffset() == offset
        following = instant + (DAY if is_quiet else HOUR)
        next_offset = following.astimezone(zone).utcoffset() or timedelta()
        if next_offset > offset:
            change = _change(zone, instant, offset)
            yield change + offset, change + next_offset
        instant, offset = following, next_offset


def _change(zone: tzinfo, instant: datetime, offset: timedelta) -> datetime:
    """The minute in UTC, naive, at which the offset changes in the hour after an instant."""
    while instant.astimezone(zone).utcoffset() == offset:
        instant += timedelta(minutes=1)
    return instant.replace(tzinfo=None)
