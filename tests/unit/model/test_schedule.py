from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from orchestrator.model.schedule import Schedule, check_schedule

PRAGUE = ZoneInfo("Europe/Prague")
NIGHTLY = "15 2 * * *"


def at(text: str) -> datetime:
    """An instant in UTC, such as `2026-11-26 01:15`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "now", "occurrence"),
    [
        pytest.param(NIGHTLY, "Europe/Prague", "2026-11-26 01:15", "2026-11-26 01:15", id="exact"),
        pytest.param(NIGHTLY, "Europe/Prague", "2026-11-26 09:00", "2026-11-26 01:15", id="later"),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-11-26 01:10", "2026-11-26 01:15", id="5-min-early"
        ),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-11-26 01:09:59", "2026-11-25 01:15", id="too-early"
        ),
        pytest.param("@daily", "UTC", "2026-11-26 00:00", "2026-11-26 00:00", id="nickname"),
        pytest.param("@hourly", "UTC", "2026-11-26 14:55", "2026-11-26 15:00", id="hour-early"),
        pytest.param(
            "*/10 * * * *", "UTC", "2026-11-26 14:58:59", "2026-11-26 14:50", id="10-min-too-early"
        ),
        pytest.param("*/10 * * * *", "UTC", "2026-11-26 14:59", "2026-11-26 15:00", id="a-tenth"),
        pytest.param("0 3 1 * *", "UTC", "2026-11-26 12:00", "2026-11-01 03:00", id="monthly"),
        pytest.param("0 0 29 2 *", "UTC", "2026-11-26 12:00", "2024-02-29 00:00", id="leap-day"),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-10-25 01:30", "2026-10-25 00:15", id="winter-twice"
        ),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-10-25 00:20", "2026-10-25 00:15", id="winter-once"
        ),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-03-29 01:00", "2026-03-29 01:00", id="summer-gap"
        ),
        pytest.param(
            NIGHTLY, "Europe/Prague", "2026-03-29 00:50", "2026-03-28 01:15", id="summer-before"
        ),
        pytest.param(
            "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 15:20", "2026-04-04 14:45", id="half"
        ),
        pytest.param(
            "*/30 * * * *", "Australia/Lord_Howe", "2026-04-04 15:05", "2026-04-04 15:00", id="30"
        ),
    ],
)
def test_call_is_for_the_last_occurrence(text: str, zone: str, now: str, occurrence: str) -> None:
    """A call is for the last occurrence, or for one that comes within minutes."""
    assert Schedule(text, ZoneInfo(zone)).at(at(now)) == at(occurrence)


@pytest.mark.parametrize("hour", range(48))
def test_occurrences_never_go_back_at_the_end_of_summer_time(hour: int) -> None:
    """From hour to hour the occurrence stays or moves forward, with one for each day."""
    schedule = Schedule(NIGHTLY, PRAGUE)
    now = at("2026-10-24 00:30").timestamp() + 3600 * hour
    earlier, later = (schedule.at(datetime.fromtimestamp(time, UTC)) for time in (now, now + 3600))
    assert earlier <= later
    assert (later - earlier).total_seconds() in (0, 86_400, 90_000)


def test_day_has_its_first_occurrence_or_its_midnight() -> None:
    """A given day means its occurrence, or its midnight if the schedule has none on that day."""
    assert Schedule(NIGHTLY, PRAGUE).on(date(2026, 11, 26)) == at("2026-11-26 01:15")
    assert Schedule("0 3 * * 1", PRAGUE).on(date(2026, 11, 26)) == at("2026-11-25 23:00")
    assert Schedule("@hourly", PRAGUE).on(date(2026, 11, 26)) == at("2026-11-25 23:00")


def test_day_of_an_occurrence_is_that_of_its_zone() -> None:
    """Shortly after midnight in Prague, it is still the day before in UTC."""
    schedule = Schedule("5 0 * * *", PRAGUE)
    assert schedule.day_of(schedule.at(at("2026-11-25 23:06"))) == date(2026, 11, 26)


@pytest.mark.parametrize("text", ["@noon", "1 2 3", "x * * * *", "0 0 30 2 *", "60 * * * *", ""])
def test_schedule_that_is_not_cron_notation_is_refused(text: str) -> None:
    """The message quotes what was found."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        check_schedule(text)
