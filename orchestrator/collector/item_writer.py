"""
The file of a download while it grows: in memory as long as it is small, then a part file.

A body that breaks off leaves no half item behind. JSON Lines without filters are cut after the last
whole line; of everything else, the range that broke off is removed.
"""

from __future__ import annotations

import hashlib
from io import BytesIO

from anyio import to_thread

from orchestrator.collector.item_counter import counter_of, rows_of_workbook, shown_rows, stored_in
from orchestrator.collector.items_file import ItemsFile
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.model.proofs import Proof, ProvenBy
from orchestrator.store.atomic_files import Files, Folder
from orchestrator.store.file_names import file_name
from orchestrator.store.part_file import Mark, PartFile
from orchestrator.store.sink import Sink
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes

PLAIN = ItemsQuery()
"""JSON Lines without filters."""

# A constant: to read a member of the enumeration takes longer.
BY = ProvenBy.DOWNLOAD


class ItemWriter:
    """
    Writes the items of one dataset.

    Args:
        folder: of the job.
        name: of the file.
        dataset_id: makes the name of the part file, which is another one for each dataset.

    Attributes:
        by_line: whether each line is an item of the platform.
    """

    def __init__(
        self,
        files: Files,
        *,
        folder: Folder,
        name: str,
        dataset_id: DatasetId,
        query: ItemsQuery,
        sizes: TransferSizes = USUAL_SIZES,
    ) -> None:
        self._files = files
        self._folder = folder
        self._name = name
        self._dataset_id = dataset_id
        self._query = query
        self.by_line = query == PLAIN
        self._sink = Sink(by_line=self.by_line, sizes=sizes)
        self._counter = counter_of(query)
        self._part: PartFile | None = None
        self._range_start: tuple[int, int, Mark | None] = (0, 0, None)
        self._line_start: Mark | None = None

    @property
    def lines(self) -> int:
        """The whole lines so far."""
        return self._sink.lines

    @property
    def written_lines(self) -> int:
        """Those that are not only in memory."""
        return self._sink.handed_lines

    @property
    def size_bytes(self) -> int:
        """The bytes so far."""
        return self._sink.size_bytes

    async def reopen(self) -> None:
        """Continues the part file that an earlier download of the same lines has closed, if any."""
        if not self.by_line or self._part is not None:
            return
        kept = await self._files.reopen_part(self._folder, self._name, part=self._part_name())
        if kept is not None:
            self._part = kept.part
            self._sink.reset(kept.size_bytes, kept.lines)

    async def begin_range(self) -> None:
        """Remembers where a range begins: one without lines stays whole or is removed."""
        self._counter = counter_of(self._query)
        # The mark is a place in the part file, so nothing before it may be in memory only.
        if self.size_bytes:
            await self.flush()
        mark = None if self._part is None else await self._part.mark()
        self._range_start = (self.size_bytes, self.lines, mark)

    async def take(self, chunk: bytes) -> bool:
        """Takes the next bytes of a body; returns whether some were written."""
        if self._counter is not None:
            self._counter.feed(chunk)
        was_inside = self._sink.is_inside_line
        ready = self._sink.feed(chunk)
        if ready is None:
            return False
        if self._sink.is_inside_line and not was_inside:
            # A line that is written in parts begins here.
            self._line_start = await (await self._opened()).mark()
        await self._write(ready)
        return True

    async def cut(self) -> None:
        """Removes the half line, or the range, that a broken body has left."""
        if self.by_line:
            if self._sink.forget_half_line() and self._part is not None:
                await self._part.truncate(self._line_start)
            return
        size_bytes, lines, mark = self._range_start
        self._sink.reset(size_bytes, lines)
        if self._part is not None:
            await self._part.truncate(mark)

    def end_line(self) -> None:
        """Ends the last line of a whole body, in case that the platform has not."""
        self._sink.end_line()

    async def append(self, other: ItemWriter) -> None:
        """Appends all that another one has written."""
        await self.flush()
        if other._part is not None:
            await (await self._opened()).append_file(other._part)
            self._sink.count(other._sink)
        await self._write(self._sink.feed(other._sink.rest()))

    async def flush(self) -> None:
        """Writes what is in memory to the part file."""
        await self._write(self._sink.rest())

    async def finish(self, total: int, processed: int, after_secs: float) -> ItemsFile:
        """
        What was written; `publish` gives it its name.

        Args:
            total: how many items the platform counts.
            processed: how many it has read for the answers, where filters may have dropped some.
            after_secs: how long ago the run had ended when the download began, at least.
        """
        rest = self._sink.rest()
        if self._part is None:
            sha256 = hashlib.sha256(rest).hexdigest()
        else:
            await self._part.append(rest)
            sha256 = self._part.sha256()
        if self._query.format == "xlsx":
            rows = await self._workbook_rows(rest)
        else:
            rows = shown_rows(self._query, self._sink, self._counter)
        stored = stored_in(self._query, rows, max(total, processed) if processed else total)
        # As many as are counted: proven.
        is_proven = stored == total
        return ItemsFile(
            items=total if rows is None else rows,
            size_bytes=self.size_bytes,
            sha256=sha256,
            data=None if self._part is not None else rest,
            stored=stored,
            counted=total,
            proof=Proof(by=BY, after_secs=after_secs, stored=stored) if is_proven else None,
        )

    async def publish(self) -> None:
        """Gives the part file its final name; what is only in memory is the caller's to save."""
        if self._part is not None:
            await self._part.publish()

    def close(self) -> None:
        """Closes the part file, which a later download continues if it can."""
        # Only whole lines can be continued; `discard` deletes every other part file.
        if self._part is not None and self.by_line:
            self._part.close()

    def discard(self) -> None:
        """Deletes the part file, unless it is published or closed."""
        if self._part is not None:
            self._part.discard()

    async def _write(self, data: bytes | None) -> None:
        if data:
            await (await self._opened()).append_soon(data)

    async def _opened(self) -> PartFile:
        if self._part is None:
            part_name = self._part_name()
            self._part = await self._files.open_part(self._folder, self._name, part=part_name)
        return self._part

    def _part_name(self) -> str:
        # With the dataset in it, since the job's next attempt makes another one.
        return f"{self._name}.{file_name(self._dataset_id)}"

    async def _workbook_rows(self, rest: bytes) -> int | None:
        if self._part is None:
            return rows_of_workbook(BytesIO(rest))
        return await to_thread.run_sync(self._part.read, rows_of_workbook)
