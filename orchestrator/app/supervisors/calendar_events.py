"""A schedule as calendar events of systemd: the values of `OnCalendar=`. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cronsim import CronSim

from orchestrator.app.supervisors.cron_fields import (
    DAYS_OF_MONTH,
    DAYS_OF_WEEK,
    CronFields,
    spans,
)
from orchestrator.errors import UsageError

NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
EVERY = "*"
DAYS_OF_A_WEEK = 7


def calendar_events(fields: CronFields, zone: str | None) -> list[str]:
    """
    The calendar events that together are a schedule.

    Args:
        zone: the name of the time zone; None for the machine's.

    Raises:
        UsageError: systemd cannot express it.
    """
    time = ":".join(
        _numbers(values, count)
        for values, count in ((fields.hours, 24), (fields.minutes, 60), (fields.seconds, 60))
    )
    months = _numbers(fields.months, 12)
    ending = "" if zone is None else f" {zone}"
    events = []
    for weekday, day in _days(fields):
        name = f"{weekday} " if weekday else ""
        dash = "" if day.startswith("~") else "-"
        events.append(f"{name}*-{months}{dash}{day} {time}{ending}")
    return events


def _days(fields: CronFields) -> Iterator[tuple[str, str]]:
    """Pairs of weekdays and days of the month, of which one must fit; empty is each weekday."""
    if fields.days == DAYS_OF_MONTH:
        yield from _weekdays(fields)
        return
    days = list(_month_days(fields))
    if fields.weekdays == DAYS_OF_WEEK:
        yield from (("", day) for day in days)
    elif not fields.needs_both:
        yield from (("", day) for day in days)
        yield from _weekdays(fields)
    else:
        for weekday, limit in _weekdays(fields):
            if limit != EVERY:
                raise UsageError(
                    f"{fields.text!r}: systemd cannot express a day of the month together with # "
                    "or L; choose another schedule"
                )
            yield from ((weekday, day) for day in days)


def _weekdays(fields: CronFields) -> Iterator[tuple[str, str]]:
    plain = sorted(day for day in fields.weekdays if isinstance(day, int))
    if set(plain) == DAYS_OF_WEEK:
        yield "", EVERY
    elif plain:
        yield ",".join(NAMES[day] for day in plain), EVERY
    for special in fields.weekdays:
        if isinstance(special, tuple):
            day, which = special
            first = DAYS_OF_A_WEEK * (which - 1) + 1
            last = min(first + DAYS_OF_A_WEEK - 1, 31)
            limit = "~07/1" if which == CronSim.LAST else f"{first:02}..{last:02}"
            yield NAMES[day % DAYS_OF_A_WEEK], limit


def _month_days(fields: CronFields) -> Iterator[str]:
    if CronSim.LAST_WEEKDAY in fields.days:
        raise UsageError(
            f"{fields.text!r}: systemd cannot express LW, the last weekday of a month; choose "
            "another schedule"
        )
    plain = [day for day in fields.days if day > 0]
    if plain:
        yield _listed(plain)
    if CronSim.LAST in fields.days:
        yield "~01"


def _numbers(values: frozenset[int], count: int) -> str:
    return EVERY if len(values) == count else _listed(values)


def _listed(values: Iterable[int]) -> str:
    parts = (span.split("-") for span in spans(values))
    return ",".join("..".join(f"{int(number):02}" for number in part) for part in parts)
