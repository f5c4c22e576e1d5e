from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orchestrator.app.supervisors.calendar_events import calendar_events
from orchestrator.app.supervisors.clock_gaps import gaps
from orchestrator.app.supervisors.cron_fields import fields_of
from orchestrator.errors import UsageError
from orchestrator.model.schedule import Schedule

ZONE = "Europe/Prague"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def elapses(event: str, since: datetime, count: int) -> set[datetime]:
    """The next instants of a calendar event, as systemd itself computes them."""
    assert ANALYZE is not None
    base = f"--base-time={since:%Y-%m-%d %H:%M:%S} UTC"
    done = subprocess.run(
        [ANALYZE, "calendar", base, f"--iterations={count}", event],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C.UTF-8"},
    )
    times = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([\d-]+ [\d:]+) UTC", done.stdout)
    return {datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times}


@needs_systemd
@pytest.mark.parametrize(
    "text",
    [
        "15 2 * * *",
        "*/15 * * * *",
        "0 5 * * 1-5",
        "0 5 1,15 * MON",
        "0 0 L * *",
        "0 3 * * 5#2",
        "0 3 * * 5L",
        "5/20 1 * * 7",
        "0 4 */2 * 1",
        "30 0 4 * * *",
        "0 2 L,15 * *",
        "@weekly",
    ],
)
@pytest.mark.parametrize("month", [1, 10])
def test_calendar_events_elapse_at_the_occurrences(text: str, month: int) -> None:
    """The timer starts exactly at the occurrences of the schedule, also after summer time."""
    since = datetime(2027, month, 20, 12, tzinfo=UTC)
    schedule = Schedule(text, ZoneInfo(ZONE))
    expected = [schedule.after(since)]
    while len(expected) < 12:
        expected.append(schedule.after(expected[-1]))
    found: set[datetime] = set()
    for event in calendar_events(fields_of(text), ZONE):
        found |= elapses(event, since, 13)
    # In the repeated hour, the timer may elapse twice: the second call starts nothing.
    repeated = {time + timedelta(hours=1) for time in expected}
    early = {time for time in found if time <= expected[-1]} - (repeated - set(expected))
    assert early == set(expected)


@needs_systemd
def test_calendar_event_of_a_gap_elapses_at_its_end() -> None:
    """On the day that skips 02:15, systemd skips the timer; a separate event starts the batch."""
    since = datetime(2027, 3, 27, 12, tzinfo=UTC)
    schedule = Schedule("15 2 * * *", ZoneInfo(ZONE))
    (gap,) = [gap for gap in gaps(schedule, since, 1) if gap.skipped.year == 2027]
    due = schedule.after(since)
    assert elapses(f"*-*-* 02:15:00 {ZONE}", since, 1) != {due}
    assert elapses(f"{gap.ends:%Y-%m-%d %H:%M:%S} {ZONE}", since, 1) == {due}


def test_only_fixed_times_have_gaps() -> None:
    """A time that no clock skips, and an interval, need no further event."""
    now = datetime(2027, 1, 1, tzinfo=UTC)
    for text in ("15 4 * * *", "*/5 * * * *", "0 * * * *"):
        assert gaps(Schedule(text, ZoneInfo(ZONE)), now, 2) == []
    assert gaps(Schedule("15 2 * * *", ZoneInfo("UTC")), now, 2) == []


@pytest.mark.parametrize("text", ["0 0 LW * *", "0 0 */2 * 1#2"])
def test_calendar_events_refuse_what_systemd_cannot_express(text: str) -> None:
    """A schedule is never replaced by a similar one."""
    with pytest.raises(UsageError, match="systemd cannot express"):
        calendar_events(fields_of(text), ZONE)
