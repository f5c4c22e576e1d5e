"""How the ledger writes times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.ledger.stored_values import stored

EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC), "2026-01-02T03:04:05.678+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC), "2026-01-02T03:04:05.000+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000+00:00"),
        (datetime(2026, 1, 2, 1, 4, 5, 10_000, tzinfo=EAST), "2026-01-01T23:04:05.010+00:00"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000+00:00"),
    ],
)
def test_stored_writes_utc_and_milliseconds(time: datetime, text: str) -> None:
    """Every time in a ledger has one form, so that the order of texts is that of times."""
    assert stored(time) == text
    assert text == time.astimezone(UTC).isoformat(timespec="milliseconds")
