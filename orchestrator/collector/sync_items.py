"""
The items that a synchronous start answers: saved as they come, and given their name when proven.

The answer is made at the run's end, when the platform may not show all items yet.
"""

from __future__ import annotations

from orchestrator.apify import Download
from orchestrator.collector.item_counter import counter_of, shown_rows, stored_in
from orchestrator.collector.items_file import ItemsFile, items_name
from orchestrator.collector.totals import count_of
from orchestrator.errors import TruncatedBody
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Files, Folder
from orchestrator.store.sink import Sink
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes


def answer_part(query: ItemsQuery) -> str:
    """What the file of an answer is called until it is proven."""
    return f"{items_name(query)}.answer"


async def save_answer(
    files: Files,
    folder: Folder,
    query: ItemsQuery,
    download: Download,
    *,
    sizes: TransferSizes = USUAL_SIZES,
) -> ItemsFile:
    """
    Saves items that are given only once, under a temporary name.

    Raises:
        TransientError: it broke off, or is not all that the platform counts.
        DiskFull, OutputLost.
    """
    total = count_of(download)
    by_line = query == ItemsQuery()
    sink, counter = Sink(by_line=by_line, sizes=sizes), counter_of(query)
    part = await files.open_part(folder, items_name(query), part=answer_part(query))
    try:
        async for chunk in download.chunks():
            if counter is not None:
                counter.feed(chunk)
            ready = sink.feed(chunk)
            if ready is not None:
                await part.append(ready)
        if query.format == "jsonl":
            sink.end_line()
        rows = shown_rows(query, sink, counter)
        if by_line and sink.lines < total:
            raise TruncatedBody(f"the platform counts {total} items and gave {sink.lines}")
        await part.append(sink.rest())
        part.close()
    finally:
        part.discard()
    return ItemsFile(
        items=total if rows is None else rows,
        size_bytes=sink.size_bytes,
        sha256=part.sha256(),
        data=None,
        stored=stored_in(query, rows, total),
        counted=total,
    )
