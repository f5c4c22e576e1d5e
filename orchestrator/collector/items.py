"""
One dataset to one file: streamed, counted, and gone on with where a download broke.

Bytes are written as they come; nothing is parsed. JSON Lines are cut only between lines, so that a
broken download can go on at the item where it broke. Other formats, and filtered JSON Lines, whose
lines are not the platform's count of items, begin again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import anyio

from orchestrator.client import ApifyClient, Download
from orchestrator.collector.files import Files, PartFile
from orchestrator.errors import ServerFault, TransientError, TruncatedBody
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery

CHUNK_BYTES = 256 * 1024
NEWLINE = 0x0A


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsFile:
    """
    A dataset that was fetched whole.

    Attributes:
        items: as the platform counts them.
        data: the bytes, when they were few; None when they went to the part file.
    """

    items: int
    size_bytes: int
    sha256: str
    data: bytes | None


class Sink:
    """
    Takes the bytes of a download and hands them out in large pieces.

    Args:
        by_line: whether a line is an item, and pieces end with a line.
    """

    def __init__(self, *, by_line: bool) -> None:
        self._by_line = by_line
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._handed_bytes = 0
        self._handed_lines = 0

    @property
    def size_bytes(self) -> int:
        """
        Bytes taken so far and kept.
        """
        return self._handed_bytes + self._pending_bytes

    @property
    def lines(self) -> int:
        """
        Whole lines among them.
        """
        return self._handed_lines + sum(piece.count(b"\n") for piece in self._pending)

    def feed(self, data: bytes) -> bytes | None:
        """
        Takes a chunk; returns what is ready to be written, or None while it is little.
        """
        self._keep(data)
        if self._pending_bytes < CHUNK_BYTES:
            return None
        rest = b""
        if self._by_line:
            end = data.rfind(b"\n") + 1
            if end == 0:
                return None
            self._pending[-1], rest = data[:end], data[end:]
        ready = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._keep(rest)
        return self._handed(ready)

    def forget_half_line(self) -> None:
        """
        Drops what follows the last end of a line, after a broken download.
        """
        kept = b"".join(self._pending)
        kept = kept[: kept.rfind(b"\n") + 1]
        self._pending.clear()
        self._pending_bytes = 0
        self._keep(kept)

    def end_line(self) -> None:
        """
        Ends the last line of a whole download, should the platform have left that out.
        """
        if self._pending and self._pending[-1][-1] != NEWLINE:
            self._keep(b"\n")

    def rest(self) -> bytes:
        """
        What was not handed out yet, at the end of the last download.
        """
        ready = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        return self._handed(ready)

    def _keep(self, data: bytes) -> None:
        if data:
            self._pending.append(data)
            self._pending_bytes += len(data)

    def _handed(self, ready: bytes) -> bytes:
        self._handed_bytes += len(ready)
        self._handed_lines += ready.count(b"\n")
        return ready


def items_name(query: ItemsQuery) -> str:
    """
    The name of a dataset's file.
    """
    return f"items.{query.format}"


async def save_items(
    files: Files, folder: Path, query: ItemsQuery, download: Download
) -> ItemsFile:
    """
    Saves items that can be had only once, as a synchronous start gives them.

    Raises:
        TransientError: it broke off, or is not all that the platform counts; nothing has appeared.
    """
    total = _count_of(download)
    by_line = query == ItemsQuery()
    sink = Sink(by_line=by_line)
    part = await files.open_part(folder, items_name(query))
    try:
        async for chunk in download.chunks():
            ready = sink.feed(chunk)
            if ready is not None:
                await part.append(ready)
        if by_line:
            sink.end_line()
            if sink.lines < total:
                raise TruncatedBody(f"the platform counts {total} items and gave {sink.lines}")
        await part.append(sink.rest())
        await part.publish()
    finally:
        part.discard()
    return ItemsFile(
        items=sink.lines if by_line else total,
        size_bytes=sink.size_bytes,
        sha256=part.sha256(),
        data=None,
    )


class ItemsDownload:
    """
    The download of one dataset into a folder; `fetch` does it, `publish` makes it visible.

    Args:
        folder: of the job.
        name: of the file.
        patience_secs: how long to go on without any progress before giving up.
        settle_secs: how long to wait for items that the platform has counted but not given.
    """

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
    ) -> None:
        self._client = client
        self._files = files
        self._folder = folder
        self._name = name
        self._dataset_id = dataset_id
        self._query = query
        self._patience_secs = patience_secs
        self._settle_secs = settle_secs
        self._by_line = query == ItemsQuery()
        self._sink = Sink(by_line=self._by_line)
        self._part: PartFile | None = None
        self._total = 0

    async def fetch(self) -> ItemsFile:
        """
        Downloads all items.

        Raises:
            NotFound: the dataset is gone.
            TruncatedBody: the platform counts more items than it gives, and goes on doing so.
            TransientError: no progress for longer than `patience_secs`.
        """
        pause = 0.5
        stuck_since = anyio.current_time()
        while True:
            before = self._sink.size_bytes
            error = await self._pass()
            if error is None and not self._is_short():
                return await self._finish()
            now = anyio.current_time()
            if self._sink.size_bytes > before:
                pause, stuck_since = 0.5, now
            if now - stuck_since > (self._settle_secs if error is None else self._patience_secs):
                raise error or self._shortage()
            await anyio.sleep(pause)
            pause = min(pause * 2, 30.0)

    async def advance(self) -> None:
        """
        Fetches what is new of a dataset that grows, and writes it to the part file.

        Raises:
            NotFound, TransientError: nothing is there yet, or cannot be had now.
        """
        error = await self._pass()
        ready = self._sink.rest()
        if ready:
            await self._write(ready)
        if error is not None:
            raise error

    async def publish(self) -> None:
        """
        Gives a file that went to a part file its final name.
        """
        if self._part is not None:
            await self._part.publish()

    def discard(self) -> None:
        """
        Removes what is not published.
        """
        if self._part is not None:
            self._part.discard()

    async def _pass(self) -> TransientError | None:
        """
        One request; returns the error that broke its body, if any.
        """
        offset = self._sink.lines if self._by_line else 0
        async with self._client.stream_items(
            self._dataset_id, self._query, offset=offset
        ) as download:
            try:
                self._total = _count_of(download)
                async for chunk in download.chunks():
                    await self._write(self._sink.feed(chunk))
            except TransientError as error:
                await self._keep_whole_lines()
                return error
        if self._by_line:
            self._sink.end_line()
        return None

    async def _keep_whole_lines(self) -> None:
        if self._by_line:
            self._sink.forget_half_line()
            return
        self._sink = Sink(by_line=False)
        if self._part is not None:
            await self._part.restart()

    async def _write(self, data: bytes | None) -> None:
        if data is None:
            return
        if self._part is None:
            self._part = await self._files.open_part(self._folder, self._name)
        await self._part.append_soon(data)

    def _is_short(self) -> bool:
        return self._by_line and self._sink.lines < self._total

    def _shortage(self) -> TruncatedBody:
        return TruncatedBody(
            f"dataset {self._dataset_id}: the platform counts {self._total} items and gives "
            f"{self._sink.lines}"
        )

    async def _finish(self) -> ItemsFile:
        rest = self._sink.rest()
        if self._part is None:
            sha256 = hashlib.sha256(rest).hexdigest()
        else:
            await self._part.append(rest)
            sha256 = self._part.sha256()
        return ItemsFile(
            items=self._sink.lines if self._by_line else self._total,
            size_bytes=self._sink.size_bytes,
            sha256=sha256,
            data=None if self._part is not None else rest,
        )


def _count_of(download: Download) -> int:
    """
    How many items there are; without that header an answer is not the platform's.
    """
    if download.total is None:
        raise ServerFault("what came instead of items is not the platform's, perhaps a gateway's")
    return download.total
