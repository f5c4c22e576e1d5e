"""The schedule of a spec, and the occurrence that a command is for."""

from __future__ import annotations

from datetime import UTC, date, datetime

from orchestrator.errors import UsageError
from orchestrator.model.schedule import DAILY, Schedule
from orchestrator.model.zones import zone_named
from orchestrator.specfile.model import BatchTable

YEARS = range(1971, 2200)
"""Of an occurrence: outside, time zones lead out of the calendar, or before the first second."""


def schedule_of(batch: BatchTable, default: str | None) -> Schedule:
    """
    The occurrences of a spec's batches.

    Args:
        default: the schedule if the spec has none; None for each day at midnight.
    """
    return Schedule(batch.schedule or default or DAILY, zone_named(batch.timezone))


def occurrence_of(named: date | datetime | None, schedule: Schedule, now: datetime) -> datetime:
    """
    The occurrence that a command is for, in UTC.

    Args:
        named: a day or a time on the command line; a time without a zone is in the zone of the
            schedule; None for the occurrence that is due now.

    Raises:
        UsageError: no batch can be for it.
    """
    if named is None:
        return schedule.at(now)
    if named.year not in YEARS:
        raise UsageError(
            f"no batch can be for {named}: expected a time in the years {YEARS[0]} to {YEARS[-1]}"
        )
    if not isinstance(named, datetime):
        return schedule.on(named)
    if named.tzinfo is None:
        named = named.replace(tzinfo=schedule.zone)
    instant = named.astimezone(UTC)
    # In an hour that occurs twice, Airflow is due in the second one, the schedule in the first.
    first = instant.astimezone(schedule.zone).replace(fold=0).astimezone(UTC)
    return first if schedule.at(instant) == first else instant
