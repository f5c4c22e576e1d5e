"""
When a batch is due: the occurrences of cron notation in a time zone. No I/O.

An occurrence is an instant. The search for the last one starts some time before and steps forward
in UTC: near the end of summer time a search backwards gives wrong results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cronsim import CronSim, CronSimError

DAILY = "@daily"
# CronSim does not know them.
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EARLY = timedelta(minutes=5)
"""How early a call may be for its occurrence: schedulers and clocks are not exact."""

# The shortest first, as most schedules need no more. Rare dates, such as a fifth Monday in
# February, can be 40 years apart.
SEARCH_SPANS = tuple(timedelta(days=days) for days in (1, 7, 31, 366, 5 * 366, 41 * 366))
"""How far back the search for the last occurrence starts, one after the other."""

ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The occurrences of a batch.

    Attributes:
        text: cron notation, or a nickname such as `@daily`.
        zone: in which the notation is read, and in which an occurrence has its day.
    """

    text: str
    zone: tzinfo

    def at(self, now: datetime) -> datetime:
        """
        The occurrence that a call at this instant is for, in UTC.

        It is the last one, or the next one if that is at most 5 minutes and a tenth of the interval
        away.
        """
        last, following = self._around(now)
        early = min(EARLY, (following - last) / 10)
        return following if following - now <= early else last

    def opens_at(self, occurrence: datetime) -> datetime:
        """The earliest instant of a call for an occurrence."""
        before = self._around(occurrence - timedelta(seconds=1))[0]
        return occurrence - min(EARLY, (occurrence - before) / 10)

    def after(self, instant: datetime) -> datetime:
        """The first occurrence after an instant, in UTC."""
        return self._around(instant)[1]

    def on(self, day: date) -> datetime:
        """The first occurrence of a day, in UTC; midnight if the day has none."""
        midnight = datetime.combine(day, time(), self.zone).astimezone(UTC)
        # A second earlier, because `after` leaves out its own instant.
        first = self.after(midnight - timedelta(seconds=1))
        return first if self.day_of(first) == day else midnight

    def day_of(self, occurrence: datetime) -> date:
        """The day that an occurrence has in the time zone of the schedule."""
        return occurrence.astimezone(self.zone).date()

    def _around(self, instant: datetime) -> tuple[datetime, datetime]:
        """The last occurrence that is not after an instant, and the one that follows it."""
        for back in SEARCH_SPANS:
            last = None
            for found in self._from(instant - back):
                if found > instant:
                    if last is not None:
                        return last, found
                    break
                last = found
        raise ValueError(f"{self.text!r} has no occurrence before {instant}")

    def _from(self, begin: datetime) -> Iterator[datetime]:
        begin = begin.astimezone(self.zone)
        return (found.astimezone(UTC) for found in CronSim(expand(self.text), begin))


def expand(text: str) -> str:
    """Cron notation with a nickname written out."""
    return NICKNAMES.get(text.strip().lower(), text)


def check_schedule(text: str) -> None:
    """
    Checks cron notation.

    Raises:
        ValueError: with words for the user.
    """
    if text.strip().startswith("@") and expand(text) == text:
        raise ValueError(f"unknown nickname {text!r}; there are {', '.join(NICKNAMES)}")
    try:
        next(CronSim(expand(text), ANY_TIME))
    except CronSimError as error:
        raise ValueError(
            f'expected cron notation such as "15 2 * * *" (minute, hour, day of the month, month, '
            f"day of the week), found {text!r}: {error}"
        ) from error
    except StopIteration:
        raise ValueError(f"{text!r} is a time that never occurs") from None
