"""
The account's list of runs, a thousand a request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import anyio

from orchestrator.client import ApifyClient, wire

MARGIN = timedelta(minutes=5)
"""
How much further back than asked the list is read, beyond what the clocks differ by.
"""

CLOCK_TOLERANCE = timedelta(seconds=30)


async def runs_since(
    client: ApifyClient, since: datetime, *, utc_now: Callable[[], datetime]
) -> AsyncIterator[wire.RunListItem]:
    """
    The runs that began after an instant of our clock, or shortly before it.

    Args:
        utc_now: our wall clock.

    Raises:
        PlatformError: the list cannot be read.
    """

    def on_its_clock() -> datetime:
        clock = client.clock
        if clock is None:
            return since - MARGIN
        told, at = clock
        ours = utc_now() - timedelta(seconds=anyio.current_time() - at)
        return since + (told - ours) - MARGIN

    offset = 0
    started_after = on_its_clock()
    while True:
        page = await client.list_runs(started_after=started_after, offset=offset)
        # The first answer of all tells the platform's clock.
        if on_its_clock() < started_after - CLOCK_TOLERANCE:
            started_after = on_its_clock()
            continue
        for item in page.items:
            yield item
        offset += len(page.items)
        if not page.items or offset >= page.total:
            return
