"""
The download of one dataset: streamed, counted, and continued where it broke off.

Bytes are written as they come; nothing is parsed. A dataset comes by ranges of items, so that
several requests at once can read a large one, and a break costs at most a range. JSON Lines without
filters are cut between lines: such a download continues at the item where it broke off, also after
the process that began it has died. With filters, the end of a range is known by the items that the
platform has read, not by those that came. Formats that cannot be joined from ranges, and the newest
item first, come by one request, which is repeated as a whole.
"""

from __future__ import annotations

import anyio

from orchestrator.apify import ApifyClient, Download
from orchestrator.apify.policy.request_backoff import retry_pause_secs
from orchestrator.collector.item_writer import ItemWriter
from orchestrator.collector.items_file import ItemsFile
from orchestrator.collector.totals import CountUnreadable, count_of
from orchestrator.errors import TransientError, TruncatedBody
from orchestrator.loop_clock import loop_time
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Files, Folder
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes

EXCESS_RANGES = 40
"""How many ranges may come beyond what is counted; the count lags a few seconds."""


class TooManyItems(TruncatedBody):
    """An answer whose items do not end; another request would not help."""


class ItemsDownload:
    """
    The download of one dataset into a folder; see `ranges.fetch`. `publish` makes it visible.

    Args:
        folder: of the job.
        name: of the file.
        patience_secs: how long to repeat requests without any progress before giving up.
        settle_secs: how long to wait for items that the platform counts and does not send.
        first: the place of the first item that is wanted.
    """

    def __init__(
        self,
        client: ApifyClient,
        files: Files,
        *,
        folder: Folder,
        name: str,
        dataset_id: DatasetId,
        query: ItemsQuery,
        patience_secs: float = 3600.0,
        settle_secs: float = 15.0,
        first: int = 0,
        sizes: TransferSizes = USUAL_SIZES,
    ) -> None:
        self._client = client
        self._files = files
        self._folder = folder
        self._name = name
        self._dataset_id = dataset_id
        self._query = query
        self._patience_secs = patience_secs
        self._settle_secs = settle_secs
        self._first = first
        self._sizes = sizes
        self._writer = ItemWriter(
            files, folder=folder, name=name, dataset_id=dataset_id, query=query, sizes=sizes
        )
        self._by_line = self._writer.by_line
        self._by_range = query.format == "jsonl" and not query.desc
        self._passed = 0
        self._processed = 0
        self._total = 0
        self._is_capped = False
        self._is_whole = False

    @property
    def range_items(self) -> int:
        """The items that one request asks for."""
        return self._sizes.range_items

    @property
    def first(self) -> int:
        """The place of its first item."""
        return self._first

    @property
    def place(self) -> int:
        """The place of the first item that is not there yet."""
        return self._first + (self._writer.lines if self._by_line else self._passed)

    @property
    def is_whole(self) -> bool:
        """
        Whether the last item is there.

        The platform has sent fewer then than it was asked for; its count alone may lag.
        """
        return self._is_whole

    @property
    def total(self) -> int:
        """How many items the dataset holds, as the platform last said."""
        return self._total

    async def resume(self) -> None:
        """Continues what an earlier process has written, if there is anything to continue."""
        await self._writer.reopen()

    async def read(self, until: int) -> None:
        """
        Downloads the items before that place, or all that there are.

        While the count is behind the items, it is waited for too; in the end the items are taken as
        they are.

        Raises:
            NotFound: the dataset does not exist any more.
            TruncatedBody: the platform counts more items than it sends, and continues to do so.
            TransientError: no progress for longer than `patience_secs`.
        """
        repeats = 0
        stuck_since = loop_time()
        while True:
            place = self.place
            before = place, self._writer.size_bytes
            error = await self._request(place, until)
            if error is None and self._is_done(until):
                return
            now = loop_time()
            has_grown = (self.place, self._writer.size_bytes) > before
            # Beyond what is counted, only time tells whether the count or the items are wrong.
            if has_grown and before[0] < self._total:
                repeats, stuck_since = 0, now
            is_answered = error is None or isinstance(error, CountUnreadable)
            if now - stuck_since > (self._settle_secs if is_answered else self._patience_secs):
                if error is None and self._is_whole:
                    return
                raise error or self._shortage()
            # The platform sent less than it was asked for, without an error: no reason to pause.
            if has_grown and error is None and self._is_capped:
                continue
            await anyio.sleep(retry_pause_secs(repeats))
            repeats += 1

    def _is_done(self, until: int) -> bool:
        if not self._is_whole:
            return self.place >= until
        return not self._by_line or self.place == self._total

    async def advance(self) -> None:
        """
        Downloads what is new of a dataset that grows, and writes it to the part file.

        Raises:
            NotFound, TransientError: nothing is there yet, or cannot be read now.
        """
        await self.resume()
        error = await self._request(self.place, self.place + self.range_items)
        # Before the error is raised: what has come stays for the final download.
        await self._writer.flush()
        if error is not None:
            raise error

    def range_from(self, first: int) -> ItemsDownload:
        """A download of the same items from that place on, for `append`."""
        return ItemsDownload(
            self._client,
            self._files,
            folder=self._folder,
            name=f"{self._name}.{first}",
            dataset_id=self._dataset_id,
            query=self._query,
            patience_secs=self._patience_secs,
            settle_secs=self._settle_secs,
            first=first,
            sizes=self._sizes,
        )

    async def append(self, other: ItemsDownload) -> None:
        """
        Appends what another download has read, which begins where this one ends.

        Raises:
            TruncatedBody: it does not have what was asked for.
            DiskFull, OutputLost.
        """
        await self._writer.append(other._writer)
        self._total, self._is_whole = max(self._total, other.total), other.is_whole
        if not self._by_line:
            self._passed = other.place - self._first
        elif self.place != other.place:
            raise TruncatedBody(f"dataset {self._dataset_id}: a range has more or fewer items")

    async def finish(self, after_secs: float) -> ItemsFile:
        """
        What was read; `publish` gives it its name.

        Args:
            after_secs: how long ago the run had ended when this began, at least.
        """
        return await self._writer.finish(self._total, self._processed, after_secs)

    async def publish(self) -> None:
        """Gives the part file, if there is one, its final name."""
        await self._writer.publish()

    def close(self) -> None:
        """Closes the part file; a later download continues there, if it can."""
        self._writer.close()

    def discard(self) -> None:
        """Deletes what is neither published nor closed."""
        self._writer.discard()

    async def _request(self, place: int, until: int) -> TransientError | None:
        """
        Sends one request; returns the error that broke off its body, if any.

        Args:
            place: where it begins: at the first item that is not there yet.
        """
        limit = until - place if self._by_range else None
        if not self._by_line:
            await self._writer.begin_range()
        async with self._client.storages.stream_items(
            self._dataset_id, self._query, offset=place, limit=limit
        ) as download:
            try:
                self._total = count_of(download)
                async for chunk in download.chunks():
                    if await self._writer.take(chunk) and self._by_line:
                        self._check_end(self._first + self._writer.written_lines)
            # Before its base class: a body without an end is not asked for again.
            except TooManyItems:
                raise
            except TransientError as error:
                await self._writer.cut()
                return error
        if self._by_range:
            self._writer.end_line()
        # Of lines that are items, all that were read are there.
        if not self._by_line:
            self._processed += download.count or 0
        if limit is None:
            self._passed, self._is_whole = self._total, True
        else:
            self._end_range(limit, download, place)
        return None

    def _end_range(self, limit: int, download: Download, place: int) -> None:
        # The platform may read fewer items at once than it was asked to.
        served = download.limit
        most = served if served and served < limit else limit
        self._passed += most
        self._is_capped = most < limit
        reached = self.place
        came = reached - place if self._by_line else download.count or 0
        self._is_whole = came < most and reached >= self._total
        if not self._is_whole:
            self._check_end(reached)

    def _check_end(self, place: int) -> None:
        """Raises TooManyItems where far more items come than are counted: they have no end."""
        if place > self._total + EXCESS_RANGES * self.range_items:
            raise TooManyItems(
                f"dataset {self._dataset_id}: the platform counts {self._total} items and gives "
                f"more than {place}"
            )

    def _shortage(self) -> TruncatedBody:
        return TruncatedBody(
            f"dataset {self._dataset_id}: the platform counts {self._total} items and gives "
            f"{self.place}"
        )
