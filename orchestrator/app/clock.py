"""The wall clock, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present time by this machine's clock."""
    return datetime.now(UTC)
