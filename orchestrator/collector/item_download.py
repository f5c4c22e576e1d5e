"""
One dataset to one file: streamed, counted, and gone on with where a download broke.

Bytes are written as they come; nothing is parsed. A dataset comes by ranges of items, so that a
large one can come by several requests at once and a break costs a range at most. JSON Lines without
filters are cut between lines: there a download goes on at the item where it broke, also after the
process that began it has died. With filters, a range is counted by what was looked at, not by what
came. Formats that cannot be put together from ranges, and the newest item first, come by one
request, and begin again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.apify import ApifyClient, Download
from orchestrator.apify.policy.backoff import retry_pause_secs
from orchestrator.collector.item_counter import counter_of, rows_of_workbook, shown_rows, stored_in
from orchestrator.collector.totals import CountUnreadable, count_of
from orchestrator.errors import TransientError, TruncatedBody
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.model.proofs import Proof
from orchestrator.store.atomic_files import Files
from orchestrator.store.file_names import file_name
from orchestrator.store.part_file import Mark, PartFile
from orchestrator.store.sink import Sink

EXCESS_RANGES = 40
"""So many ranges may come beyond what is counted, whose count lags a few seconds."""


class TooManyItems(TruncatedBody):
    """An answer with items that does not end; to ask again is no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsFile:
    """
    A dataset's file, read to the end.

    Attributes:
        items: that are in the file.
        data: the bytes, when they were few; None when they are in a file.
        stored: how many items of the platform went into it; more, where filters dropped some.
        counted: how many the platform counted then.
        proof: that it holds all that the platform does; None when that is not known.
        unproven: why it is not known.
    """

    items: int
    size_bytes: int
    sha256: str
    data: bytes | None
    stored: int
    counted: int
    proof: Proof | None = None
    unproven: str | None = None


def items_name(query: ItemsQuery) -> str:
    """The name of a dataset's file."""
    return f"items.{query.format}"


class ItemsDownload:
    """
    The download of one dataset into a folder; see `ranges.fetch`. `publish` makes it visible.

    Args:
        folder: of the job.
        name: of the file.
        patience_secs: how long to go on without any progress before giving up.
        settle_secs: how long to wait for items that the platform has counted but not given.
        first: the place of the first item that is wanted.

    Attributes:
        RANGE_ITEMS: of one request.
    """

    RANGE_ITEMS = 25_000

    def __init__(
        self,
        client: ApifyClient,
        files: Files,
        *,
        folder: Path,
        name: str,
        dataset_id: DatasetId,
        query: ItemsQuery,
        patience_secs: float = 3600.0,
        settle_secs: float = 15.0,
        first: int = 0,
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
        self._looked_at = 0
        self._processed = 0
        self._by_line = query == ItemsQuery()
        self._by_range = query.format == "jsonl" and not query.desc
        self._sink = Sink(by_line=self._by_line)
        self._counter = counter_of(query)
        self._part: PartFile | None = None
        self._start: tuple[int, int, Mark | None] = (0, 0, None)
        self._line_start: Mark | None = None
        self._total = 0
        self._is_capped = False
        self._is_whole = False

    @property
    def first(self) -> int:
        """The place of its first item."""
        return self._first

    @property
    def place(self) -> int:
        """The place of the first item that is not there yet."""
        return self._first + (self._sink.lines if self._by_line else self._looked_at)

    @property
    def is_whole(self) -> bool:
        """
        Whether the last item is there.

        The platform has given fewer then than it was asked for; its count alone may lag.
        """
        return self._is_whole

    @property
    def total(self) -> int:
        """How many items the dataset holds, as last told."""
        return self._total

    async def take_up(self) -> None:
        """
        Goes on from what an earlier process has left, if it left anything that can be gone on with.
        """
        if not self._by_line or self._part is not None:
            return
        kept = await self._files.reopen_part(self._folder, self._name, part=self._part_name)
        if kept is not None:
            self._part = kept.part
            self._sink.go_on_from(kept.size_bytes, kept.lines)

    async def read(self, until: int) -> None:
        """
        Fetches the items before that place, or all that there are.

        A count that is behind the items is waited for too, but then the items are taken as they
        are.

        Raises:
            NotFound: the dataset is gone.
            TruncatedBody: the platform counts more items than it gives, and goes on doing so.
            TransientError: no progress for longer than `patience_secs`.
        """
        repeats = 0
        stuck_since = anyio.current_time()
        while True:
            before = self.place, self._sink.size_bytes
            error = await self._pass(until)
            if error is None and self._is_done(until):
                return
            now = anyio.current_time()
            has_grown = (self.place, self._sink.size_bytes) > before
            # Beyond what is counted, only time tells whether the count or the items are wrong.
            if has_grown and before[0] < self._total:
                repeats, stuck_since = 0, now
            is_told = error is None or isinstance(error, CountUnreadable)
            if now - stuck_since > (self._settle_secs if is_told else self._patience_secs):
                if error is None and self._is_whole:
                    return
                raise error or self._shortage()
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
        Fetches what is new of a dataset that grows, and writes it to the part file.

        Raises:
            NotFound, TransientError: nothing is there yet, or cannot be had now.
        """
        await self.take_up()
        error = await self._pass(self.place + self.RANGE_ITEMS)
        await self._flush()
        if error is not None:
            raise error

    def range_from(self, first: int) -> ItemsDownload:
        """A download of the same items from that place on, to be taken over by `append`."""
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
        )

    async def append(self, other: ItemsDownload) -> None:
        """
        Takes over what another download has read, which begins where this one ends.

        Raises:
            TruncatedBody: it has not what was asked for.
            DiskFull, OutputLost.
        """
        await self._flush()
        if other._part is not None:
            await (await self._opened()).append_file(other._part)
            self._sink.count(other._sink)
        await self._write(self._sink.feed(other._sink.rest()))
        self._total, self._is_whole = max(self._total, other.total), other.is_whole
        if not self._by_line:
            self._looked_at = other.place - self._first
        elif self.place != other.place:
            raise TruncatedBody(f"dataset {self._dataset_id}: a range has more or fewer items")

    async def publish(self) -> None:
        """Gives a file that went to a part file its final name."""
        if self._part is not None:
            await self._part.publish()

    def leave(self) -> None:
        """Closes the part file; a later download goes on from there, if it can."""
        if self._part is not None and self._by_line:
            self._part.close()

    def discard(self) -> None:
        """Removes what is not published and was not left."""
        if self._part is not None:
            self._part.discard()

    @property
    def _part_name(self) -> str:
        # With the dataset in it, since the job's next attempt makes another one.
        return f"{self._name}.{file_name(self._dataset_id)}"

    async def _pass(self, until: int) -> TransientError | None:
        """One request; returns the error that broke its body, if any."""
        place = self.place
        limit = until - place if self._by_range else None
        await self._set_mark()
        async with self._client.stream_items(
            self._dataset_id, self._query, offset=place, limit=limit
        ) as download:
            try:
                self._total = count_of(download)
                async for chunk in download.chunks():
                    await self._take(chunk)
            except TooManyItems:
                raise
            except TransientError as error:
                await self._keep_whole()
                return error
        if self._by_range:
            self._sink.end_line()
        self._processed += download.count or 0
        if limit is None:
            self._looked_at, self._is_whole = self._total, True
        else:
            self._end_range(limit, download, place)
        return None

    def _end_range(self, limit: int, download: Download, place: int) -> None:
        # The platform may look at fewer items at once than it was asked to.
        most = min(limit, download.limit or limit)
        self._looked_at += most
        self._is_capped = most < limit
        came = self.place - place if self._by_line else download.count or 0
        self._is_whole = came < most and self.place >= self._total
        if not self._is_whole:
            self._check_end(self.place)

    async def _set_mark(self) -> None:
        """Remembers where a range begins that must be whole or not be there."""
        if self._by_line:
            return
        self._counter = counter_of(self._query)
        if self._looked_at:
            await self._flush()
        mark = None if self._part is None else await self._part.mark()
        self._start = (self._sink.size_bytes, self._sink.lines, mark)

    async def _keep_whole(self) -> None:
        if not self._by_line:
            await self._go_back()
        elif self._sink.forget_half_line() and self._part is not None:
            await self._part.truncate(self._line_start)

    async def _take(self, chunk: bytes) -> None:
        """Takes a part of the body, and remembers where a line begins that is written in parts."""
        if self._counter is not None:
            self._counter.feed(chunk)
        was_inside = self._sink.is_inside_line
        ready = self._sink.feed(chunk)
        if self._sink.is_inside_line and not was_inside:
            self._line_start = await (await self._opened()).mark()
        await self._write(ready)
        if ready is not None and self._by_line:
            self._check_end(self._first + self._sink.handed_lines)

    def _check_end(self, place: int) -> None:
        """Raises TooManyItems where far more items come than are counted: they have no end."""
        if place > self._total + EXCESS_RANGES * self.RANGE_ITEMS:
            raise TooManyItems(
                f"dataset {self._dataset_id}: the platform counts {self._total} items and gives "
                f"more than {place}"
            )

    async def _go_back(self) -> None:
        size_bytes, lines, mark = self._start
        self._sink.go_on_from(size_bytes, lines)
        if self._part is not None:
            await self._part.truncate(mark)

    async def _flush(self) -> None:
        await self._write(self._sink.rest())

    async def _write(self, data: bytes | None) -> None:
        if not data:
            return
        await (await self._opened()).append_soon(data)

    async def _opened(self) -> PartFile:
        if self._part is None:
            self._part = await self._files.open_part(self._folder, self._name, part=self._part_name)
        return self._part

    def _shortage(self) -> TruncatedBody:
        return TruncatedBody(
            f"dataset {self._dataset_id}: the platform counts {self._total} items and gives "
            f"{self.place}"
        )

    async def finish(self) -> ItemsFile:
        """What was read, to be given its name by `publish`."""
        rest = self._sink.rest()
        if self._part is None:
            sha256 = hashlib.sha256(rest).hexdigest()
        else:
            await self._part.append(rest)
            sha256 = self._part.sha256()
        rows = await self._rows(rest)
        return ItemsFile(
            items=self._total if rows is None else rows,
            size_bytes=self._sink.size_bytes,
            sha256=sha256,
            data=None if self._part is not None else rest,
            stored=stored_in(self._query, rows, max(self._total, self._processed)),
            counted=self._total,
        )

    async def _rows(self, rest: bytes) -> int | None:
        if self._query.format == "xlsx":
            if self._part is None:
                return rows_of_workbook(BytesIO(rest))
            return await to_thread.run_sync(self._part.read, rows_of_workbook)
        return shown_rows(self._query, self._sink, self._counter)
