"""
The fields of cron notation as values, and as text that every cron reads in the same way. No I/O.

The notation of a spec is that of CronSim, which has more than cron: seconds, the last day of a
month, the second Monday. Not every supervisor can say all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cronsim import CronSim

from orchestrator.errors import UsageError
from orchestrator.model.schedule import ANY_TIME, expand

PLAIN = re.compile(r"(\*|\d+|\d+-\d+)(/\d+)?(,(\*|\d+|\d+-\d+)(/\d+)?)*")
FROM_ON = re.compile(r"(?:^|,)\d+/")
"""`5/15`, which crons read in different ways."""
DAYS_OF_MONTH = frozenset(range(1, 32))
DAYS_OF_WEEK = frozenset(range(7))


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFields:
    """
    A schedule, field by field.

    Attributes:
        text: as the user wrote it, with a nickname written out.
        days: of the month; with `CronSim.LAST` and `CronSim.LAST_WEEKDAY`.
        weekdays: 0 is Sunday; a pair is a weekday and which one of the month, counted from 1, or
            `CronSim.LAST`.
        needs_both: whether day and weekday must both fit; else one of them is enough.
    """

    text: str
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int | tuple[int, int]]
    needs_both: bool

    @property
    def has_two_days(self) -> bool:
        """Whether both the day of the month and the weekday are limited."""
        return self.days != DAYS_OF_MONTH and self.weekdays != DAYS_OF_WEEK


def fields_of(text: str) -> CronFields:
    """The fields of valid cron notation, or of a nickname."""
    text = expand(text)
    parsed = CronSim(text, ANY_TIME)
    days = frozenset(parsed.days)
    weekdays = frozenset(day % 7 if isinstance(day, int) else day for day in parsed.weekdays)
    if not parsed.day_and and (days == DAYS_OF_MONTH or weekdays >= DAYS_OF_WEEK):
        # One of the two is enough, and one of them is always true.
        days, weekdays = DAYS_OF_MONTH, DAYS_OF_WEEK
    return CronFields(
        text=text,
        seconds=frozenset(parsed.seconds),
        minutes=frozenset(parsed.minutes),
        hours=frozenset(parsed.hours),
        days=days,
        months=frozenset(parsed.months),
        weekdays=weekdays,
        needs_both=parsed.day_and,
    )


def plain_cron(fields: CronFields, supervisor: str, *, star_steps: bool) -> str:
    """
    Five fields that a supervisor reads as the spec means them.

    Args:
        star_steps: whether `*/2` as a day, together with a weekday, means that both must fit.

    Raises:
        UsageError: the supervisor cannot express the schedule.
    """
    parts = fields.text.upper().split()
    advice = "`orchestrator schedule systemd` can, or choose another schedule"
    if len(parts) != len(("minute", "hour", "day", "month", "weekday")):
        raise UsageError(f"{fields.text!r} has seconds, which {supervisor} does not know; {advice}")
    special = min(fields.days) < 0 or any(isinstance(day, tuple) for day in fields.weekdays)
    if special:
        raise UsageError(
            f"{fields.text!r} uses L, W or #, which {supervisor} does not know; {advice}"
        )
    if fields.has_two_days and fields.needs_both and not star_steps:
        raise UsageError(
            f"{fields.text!r} needs both the day and the weekday to fit, which {supervisor} cannot "
            f"express; {advice}"
        )
    values = (
        (parts[0], fields.minutes, range(60)),
        (parts[1], fields.hours, range(24)),
        (parts[2], fields.days, range(1, 32)),
        (parts[3], fields.months, range(1, 13)),
        (parts[4], {day for day in fields.weekdays if isinstance(day, int)}, range(7)),
    )
    return " ".join(_field(part, chosen, every) for part, chosen, every in values)


def _field(part: str, chosen: Iterable[int], every: range) -> str:
    """A field as written if each cron reads it alike, else the list of its values."""
    if set(chosen) == set(every):
        return "*"
    numbers = [int(number) for number in re.findall(r"\d+", part)]
    is_plain = PLAIN.fullmatch(part) and not FROM_ON.search(part)
    if is_plain and all(number <= every[-1] for number in numbers):
        return part
    return ",".join(spans(chosen))


def spans(values: Iterable[int]) -> list[str]:
    """Numbers as a list of numbers and ranges `a-b`, in their order."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    shown = []
    for one in found:
        if len(one) > 2:  # A range of two is no shorter.
            shown.append(f"{one[0]}-{one[-1]}")
        else:
            shown += [str(value) for value in one]
    return shown
