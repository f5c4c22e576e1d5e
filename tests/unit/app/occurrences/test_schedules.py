"""The occurrence that a command is for."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orchestrator.app.occurrences.schedules import occurrence_of
from orchestrator.model.schedule import Schedule

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 27, tzinfo=UTC)
FIRST, SECOND = (datetime(2026, 10, 25, hour, 15, tzinfo=UTC) for hour in (0, 1))


@pytest.mark.parametrize(
    ("cron", "named", "expected"),
    [
        ("15 2 * * *", SECOND, FIRST),
        ("15 2 * * *", FIRST, FIRST),
        ("15 * * * *", SECOND, SECOND),
        ("15 2 * * *", datetime(2026, 10, 26, 9, 30, tzinfo=UTC), None),
    ],
    ids=["the second 02:15", "the first 02:15", "each hour", "a time of its own"],
)
def test_hour_that_occurs_twice_has_one_occurrence(
    cron: str, named: datetime, expected: datetime | None
) -> None:
    """Airflow names the second 02:15 of a night in autumn, and the schedule means the first."""
    assert occurrence_of(named, Schedule(cron, PRAGUE), NOW) == (expected or named)
