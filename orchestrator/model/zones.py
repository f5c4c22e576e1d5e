"""The time zone of a batch: that of its spec, or the machine's."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.model.batches import Batch


def zone_of(batch: Batch) -> tzinfo:
    """The time zone in which people read the times of a batch; UTC if this machine lacks it."""
    try:
        return zone_named(batch.plan.timezone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        # The ledger may come from a machine that knows more zones.
        return UTC


def zone_named(name: str | None) -> tzinfo:
    """
    The time zone with a name; without one, that of the machine.

    Raises:
        ZoneInfoNotFoundError, OSError, ValueError: there is no such zone.
    """
    return _machine_zone() if name is None else ZoneInfo(name)


def _machine_zone() -> tzinfo:
    """The machine's time zone; today's offset if the name of the zone cannot be read."""
    # `list` and `ui` need it for batches without a time zone only.
    from tzlocal import get_localzone

    try:
        return get_localzone()
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return datetime.now().astimezone().tzinfo or UTC
