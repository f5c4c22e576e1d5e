"""
A large dataset by several requests at once, put together in order.

The download itself reads range after range into its file. Where that takes long, helpers read
ranges ahead of it into files of their own, which it appends when it gets there. So a fast line is
not slowed down by copying, and a slow server is asked in parallel. Memory use stays constant, and
the disk holds no more than the dataset.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.items_file import ItemsFile
from orchestrator.errors import OrchestratorError
from orchestrator.loop_clock import loop_time

HELPERS = 4
HELP_AFTER_SECS = 2.0
"""How long a range may take before helpers begin."""


@dataclass(slots=True)
class _Ahead:
    """A range that a helper reads."""

    download: ItemsDownload
    done: anyio.Event = field(default_factory=anyio.Event)
    error: OrchestratorError | None = None


async def fetch(
    download: ItemsDownload, *, resumes: bool = True, after_secs: float = 0.0
) -> ItemsFile:
    """
    Downloads all items of a dataset.

    Args:
        resumes: whether to continue what an earlier download may have left.
        after_secs: how long ago the run has ended, at least.

    Raises:
        As `ItemsDownload.read`.

    Cancellation: as of `_read_by_ranges`.
    """
    if resumes:
        await download.resume()
    await download.read(download.place + download.range_items)
    if not download.is_whole:
        await _read_by_ranges(download)
    return await download.finish(after_secs)


async def _read_by_ranges(download: ItemsDownload) -> None:
    """
    Reads a dataset from where its download is to its end.

    Raises:
        As `ItemsDownload.read`.

    Cancellation: what helpers have read is removed; what the download has read stays with it.
    """
    ranges = _Ranges(download)
    error = None
    try:
        async with anyio.create_task_group() as tasks:
            for number in range(HELPERS):
                tasks.start_soon(ranges.help, name=f"range-{number}")
            try:
                await ranges.read()
            except OrchestratorError as met:
                error = met
            # Everything is read, or an error ends it: what helpers still read is not needed.
            tasks.cancel_scope.cancel()
    finally:
        for ahead in ranges.ahead.values():
            ahead.download.discard()
    # Raised out here, because a task group would wrap it in an ExceptionGroup.
    if error is not None:
        raise error


class _Ranges:
    """The ranges of one download: which is next, and which helpers have."""

    def __init__(self, download: ItemsDownload) -> None:
        self.ahead: dict[int, _Ahead] = {}
        self._download = download
        self._next = download.place
        self._began_at = loop_time()

    async def read(self) -> None:
        download = self._download
        while not download.is_whole:
            self._began_at = loop_time()
            ahead = self.ahead.get(download.place)
            if ahead is None:
                # Helpers begin behind the range that is read here, so no range is read twice.
                self._next = max(self._next, download.place + download.range_items)
                await download.read(download.place + download.range_items)
                continue
            await ahead.done.wait()
            if ahead.error is not None:
                raise ahead.error
            await download.append(ahead.download)
            ahead.download.discard()
            del self.ahead[ahead.download.first]

    async def _needed(self) -> None:
        """Returns when a range takes long."""
        due = self._began_at + HELP_AFTER_SECS
        while due > loop_time():
            await anyio.sleep_until(due)
            due = self._began_at + HELP_AFTER_SECS

    async def help(self) -> None:
        await self._needed()
        while self._next < self._download.total:
            first, self._next = self._next, self._next + self._download.range_items
            ahead = self.ahead[first] = _Ahead(self._download.range_from(first))
            try:
                await ahead.download.read(first + self._download.range_items)
            except OrchestratorError as error:
                # Kept until its turn: the ranges before this one still go into the file.
                ahead.error = error
            ahead.done.set()
