"""
The runs of the account, or of one Actor or task, that began after an instant.

Lists are read in pages, and they change meanwhile: rows come twice, pages overlap or shift. A list
is read until it closes: until as many different runs were seen as it says that it has, or until one
more reading of all its pages shows nothing new.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from orchestrator.apify import ApifyClient, models
from orchestrator.model.jobs import Target, TargetKind

MARGIN = timedelta(minutes=5)
"""
How much further back than asked the list is read: the clocks of a platform's servers may differ.
"""

MOST_READINGS = 5
PAGE_RUNS = 1000


class RunListing:
    """
    The runs that began after an instant of the platform's clock, each once.

    Args:
        target: whose runs; None for all of the account.

    Attributes:
        is_whole: whether the list has closed; known when the iteration has ended.
    """

    def __init__(
        self, client: ApifyClient, since: datetime, *, target: Target | None = None
    ) -> None:
        self._client = client
        self._since = since - MARGIN
        self._target = target
        self._seen: set[str] = set()
        self.is_whole = False

    async def __aiter__(self) -> AsyncIterator[models.RunListItem]:
        """Raises `PlatformError` when the list cannot be read."""
        for _ in range(MOST_READINGS):
            before, highest, last = len(self._seen), 0, 0
            async for page, fresh in self._read():
                highest, last = max(highest, page.total), page.total
                for item in fresh:
                    yield item
            has_all = len(self._seen) >= highest and last == highest
            if has_all or len(self._seen) == before:
                self.is_whole = True
                return

    async def _read(self) -> AsyncIterator[tuple[models.RunList, list[models.RunListItem]]]:
        """One reading of all pages, each with the runs on it that were not seen before."""
        of_task = self._target is not None and self._target.kind is TargetKind.TASK
        read: set[str] = set()
        offset = 0
        while True:
            page = await self._client.list_runs(
                target=self._target,
                # The list of a task's runs knows no times: it is read from its new end.
                started_after=None if of_task else self._since,
                desc=of_task,
                limit=PAGE_RUNS,
                offset=offset,
            )
            ids = {item.id for item in page.items}
            fresh = {item.id: item for item in page.items if item.id not in self._seen}
            self._seen.update(ids)
            yield page, list(fresh.values())
            is_past = of_task and any(_began_before(item, self._since) for item in page.items)
            # Rows that come twice do not count: they would let others be left out.
            offset += len(ids - read) or len(page.items)
            read |= ids
            if not page.items or offset >= page.total or is_past:
                return


def _began_before(item: models.RunListItem, since: datetime) -> bool:
    return item.started_at is not None and item.started_at < since
