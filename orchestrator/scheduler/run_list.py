"""
The runs of the account, or of one Actor or task, that began after an instant.

A list is read in pages and changes meanwhile: rows appear twice, pages overlap or shift. It is
whole when as many different runs were read as it says that it has, or when another reading of all
pages shows nothing new.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from orchestrator.apify import ApifyClient, models
from orchestrator.loop_clock import loop_time
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.scheduler.decide.id_map import IdMap

MARGIN = timedelta(minutes=5)
"""How much earlier the list begins, because the clocks of the platform's servers may differ."""

# The list of a busy account may never close; it then proves nothing, and is read again later.
MOST_READINGS = 5
PAGE_RUNS = 1000

COSTS_AT_ONCE = 10_000
"""So many costs of listed runs are held in memory: those of a million would take 250 MB."""

RecordCosts = Callable[[Mapping[RunId, Decimal | None]], Awaitable[None]]


def asked_at(client: ApifyClient, utc_now: Callable[[], datetime], began_at: float) -> datetime:
    """
    The platform's time when costs were asked for: an answer that came late tells nothing newer.

    Args:
        utc_now: the machine's time, as long as the platform's is not known.
        began_at: when the first question was asked, by the loop's clock.
    """
    return (client.platform_now() or utc_now()) - timedelta(seconds=loop_time() - began_at)


class ListedCosts:
    """
    The costs of listed runs, handed over some at a time.

    Args:
        record: receives them.

    Attributes:
        found: how many there were.
    """

    def __init__(self, record: RecordCosts) -> None:
        self._record = record
        self._costs: dict[RunId, Decimal | None] = {}
        self.found = 0

    async def add(self, item: models.Run) -> None:
        """Adds the cost of a run."""
        self._costs[RunId(item.id)] = item.usage_total_usd
        self.found += 1
        if len(self._costs) >= COSTS_AT_ONCE:
            await self.hand_over()

    async def hand_over(self) -> None:
        """Hands over what is left; it may be nothing."""
        costs, self._costs = self._costs, {}
        await self._record(costs)


class RunListing:
    """
    The runs that began after an instant of the platform's clock, each once, page by page.

    Args:
        target: whose runs; None for all of the account.

    Attributes:
        is_whole: whether all runs were read; known when the iteration has ended.
    """

    def __init__(
        self, client: ApifyClient, since: datetime, *, target: Target | None = None
    ) -> None:
        self._client = client
        self._since = since - MARGIN
        self._target = target
        self._seen = IdMap()
        self.is_whole = False

    async def __aiter__(self) -> AsyncIterator[Sequence[models.Run]]:
        """Gives the new runs of each page; raises `PlatformError` when it cannot be read."""
        for _ in range(MOST_READINGS):
            before, highest, last = len(self._seen), 0, 0
            async for page, fresh in self._read():
                highest, last = max(highest, page.total), page.total
                yield fresh
            has_all = len(self._seen) >= highest and last == highest
            if has_all or len(self._seen) == before:
                self.is_whole = True
                return

    async def _read(self) -> AsyncIterator[tuple[models.RunList, list[models.Run]]]:
        """Reads all pages once; yields each page with its runs that were not read before."""
        of_task = self._target is not None and self._target.kind is TargetKind.TASK
        read = IdMap()
        offset = 0
        while True:
            page = await self._client.runs.list(
                target=self._target,
                # The list of a task's runs cannot be filtered by time: it is read newest first.
                started_after=None if of_task else self._since,
                desc=of_task,
                limit=PAGE_RUNS,
                offset=offset,
            )
            rows = {item.id: item for item in page.items}
            yield page, [rows[run_id] for run_id in self._seen.add_new(rows)]
            if offset == 0 and len(rows) >= page.total:
                # The only page, as of most lists: nothing is counted for a next one.
                return
            is_past = of_task and any(_began_before(item, self._since) for item in page.items)
            # A row that appears twice counts once, or the next offset would skip another row.
            offset += len(read.add_new(rows)) or len(page.items)
            if not page.items or offset >= page.total or is_past:
                return


def _began_before(item: models.Run, since: datetime) -> bool:
    began = item.started_at
    return began is not None and began < since
