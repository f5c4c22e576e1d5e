from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from orchestrator.collector import ranges
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.items_file import ItemsFile
from orchestrator.errors import TransientError, TruncatedBody
from orchestrator.group_worker import InlineWorker
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from orchestrator.store.transfer_sizes import TransferSizes
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

CLEAN = ItemsQuery(clean=True)


@dataclass
class Dataset(WholeClient):
    """
    A dataset of a platform, in the form that the client gives.

    Attributes:
        given, counted: how many of its items the platform sends and counts; None for all.
        secs: the time that each item takes.
        most: the most items that one request reads; None for no limit.
        breaks: the items before which a body breaks off, once each.
        asked: the offset of each request.
        at_once: the most bodies that were in flight at once.
    """

    items: int
    given: int | None = None
    counted: int | None = None
    secs: float = 0.0
    most: int | None = None
    breaks: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    at_once: int = 0
    in_flight: int = 0

    @asynccontextmanager
    async def stream_items(
        self, _dataset_id: str, query: ItemsQuery, *, offset: int, limit: int | None
    ) -> AsyncIterator[Any]:
        """Every third item is empty; `clean` leaves it out."""
        self.asked.append(offset)
        shown = limit if self.most is None or limit is None else min(limit, self.most)
        end = min(self.items if self.given is None else self.given, offset + (shown or self.items))
        self.in_flight += 1
        self.at_once = max(self.at_once, self.in_flight)
        try:
            yield SimpleNamespace(
                total=self.items if self.counted is None else self.counted,
                limit=shown,
                count=max(0, end - offset),
                chunks=lambda: self._chunks(query, offset, end),
            )
        finally:
            self.in_flight -= 1

    async def _chunks(self, query: ItemsQuery, start: int, end: int) -> AsyncIterator[bytes]:
        if query.format == "json":
            yield b"["
        for number in range(start, end):
            if query.format == "json" and number > start:
                yield b","
            if number in self.breaks:
                self.breaks.discard(number)
                yield b'{"i":'
                raise TruncatedBody("it broke")
            if self.secs:
                await anyio.sleep(self.secs / 2)
            if not (query.clean and number % 3 == 0):
                text = line(number)
                yield text[:9]
                if self.secs:
                    await anyio.sleep(self.secs / 2)
                yield text[9:]
        if query.format == "json":
            yield b"]"


def line(number: int) -> bytes:
    return b'{"i":%d,"filler":"%s"}\n' % (number, b"x" * 500)


def expected(query: ItemsQuery, items: int) -> bytes:
    lines = [line(n) for n in range(items) if not (query.clean and n % 3 == 0)]
    return b"[%b]" % b",".join(lines) if query.format == "json" else b"".join(lines)


def download(dataset: Dataset, folder: Path, query: ItemsQuery = ItemsQuery()) -> ItemsDownload:  # noqa: B008 - frozen
    return ItemsDownload(
        dataset,  # type: ignore[arg-type] # the one method of it that is called
        Files(InlineWorker(flush_group)),
        folder=folder,
        name=f"items.{query.format}",
        dataset_id=DatasetId("d1"),
        query=query,
        patience_secs=60.0,
        sizes=TransferSizes(range_items=1000),
    )


def fetched(dataset: Dataset, folder: Path, query: ItemsQuery = ItemsQuery()) -> ItemsFile:  # noqa: B008 - frozen
    """The result of a whole download; time is virtual."""

    async def fetch() -> ItemsFile:
        whole = download(dataset, folder, query)
        file = await ranges.fetch(whole)
        await whole.publish()
        return file

    return run_virtual(fetch)


@pytest.mark.parametrize("query", [ItemsQuery(), CLEAN], ids=["plain", "filtered"])
@pytest.mark.parametrize("items", [0, 999, 1000, 1001, 2500])
def test_large_dataset_is_downloaded_in_ranges(
    tmp_path: Path, query: ItemsQuery, items: int
) -> None:
    """Every item is there once and in order, by one request for each range, and counted."""
    dataset = Dataset(items)
    file = fetched(dataset, tmp_path, query)
    found = (tmp_path / "items.jsonl").read_bytes() if file.data is None else file.data
    assert found == expected(query, items)
    assert dataset.asked == list(range(0, items + 1, 1000))
    assert file.items == expected(query, items).count(b"\n")


@pytest.mark.parametrize("query", [ItemsQuery(), CLEAN], ids=["plain", "filtered"])
def test_slow_dataset_is_downloaded_by_several_requests_at_once(
    tmp_path: Path, query: ItemsQuery
) -> None:
    """The ranges are joined in order, sooner than one after the other."""
    dataset = Dataset(20_000, secs=0.01)

    def timed() -> tuple[ItemsFile, float]:
        async def fetch() -> tuple[ItemsFile, float]:
            whole = download(dataset, tmp_path, query)
            file = await ranges.fetch(whole)
            await whole.publish()
            return file, anyio.current_time()

        return run_virtual(fetch)

    file, secs = timed()
    assert (tmp_path / "items.jsonl").read_bytes() == expected(query, 20_000)
    assert file.size_bytes == len(expected(query, 20_000))
    assert dataset.at_once == 5
    assert secs < 20_000 * 0.01 / 3
    assert sorted(dataset.asked) == list(range(0, 20_001, 1000))
    assert [path.name for path in tmp_path.iterdir()] == ["items.jsonl"]


@pytest.mark.parametrize("secs", [0.0, 0.01], ids=["one by one", "at once"])
@pytest.mark.parametrize("query", [ItemsQuery(), CLEAN], ids=["plain", "filtered"])
def test_broken_ranges_are_resumed(tmp_path: Path, query: ItemsQuery, secs: float) -> None:
    """Plain lines continue at the item where the body broke, filtered ones at their range."""
    dataset = Dataset(5000, secs=secs, breaks={0, 1, 999, 1700, 3001, 4999})
    fetched(dataset, tmp_path, query)
    assert (tmp_path / "items.jsonl").read_bytes() == expected(query, 5000)
    begins = 1700 if query == ItemsQuery() else 1000
    assert begins in dataset.asked
    assert (1700 in dataset.asked) == (query == ItemsQuery())


def test_platform_with_a_smaller_limit_is_paged_by_that_limit(
    tmp_path: Path,
) -> None:
    """A short or empty page is not the end."""
    dataset = Dataset(1500, most=100)
    fetched(dataset, tmp_path, CLEAN)
    assert (tmp_path / "items.jsonl").read_bytes() == expected(CLEAN, 1500)
    assert dataset.asked == list(range(0, 1501, 100))


@pytest.mark.parametrize(
    "query",
    [
        ItemsQuery(format="csv", skip_header_row=True),
        ItemsQuery(format="json"),
        ItemsQuery(desc=True),
    ],
    ids=["csv", "json", "desc"],
)
def test_format_that_cannot_be_joined_is_downloaded_whole(
    tmp_path: Path, query: ItemsQuery
) -> None:
    """One request fetches all, and begins again when it breaks."""
    dataset = Dataset(3000, breaks={2900})
    file = fetched(dataset, tmp_path, query)
    assert dataset.asked == [0, 0]
    assert (tmp_path / f"items.{query.format}").read_bytes() == expected(query, 3000)
    assert file.items == 3000


@pytest.mark.parametrize("query", [ItemsQuery(), CLEAN], ids=["plain", "filtered"])
def test_items_that_are_not_counted_yet_are_downloaded(tmp_path: Path, query: ItemsQuery) -> None:
    """The platform's count may lag: the end is where no more items come."""
    dataset = Dataset(2500, counted=400)
    file = fetched(dataset, tmp_path, query)
    assert (tmp_path / "items.jsonl").read_bytes() == expected(query, 2500)
    assert dataset.asked[:3] == [0, 1000, 2000]
    assert (file.stored, file.counted) == (2500, 400)


def test_items_that_are_counted_but_not_sent_are_an_error(tmp_path: Path) -> None:
    """The download waits; then the job fails with both numbers, and nothing is published."""
    with pytest.raises(TruncatedBody, match="counts 2500 items and gives 1700"):
        fetched(Dataset(2500, given=1700), tmp_path)
    assert not (tmp_path / "items.jsonl").exists()


def test_answer_without_an_end_is_an_error(tmp_path: Path) -> None:
    """A platform that sends items without end fails the job and does not fill the disk."""

    class Endless(Dataset):
        async def _chunks(self, *_asked: Any) -> AsyncIterator[bytes]:
            while True:
                yield line(1) * 100

    with pytest.raises(TruncatedBody, match="counts 2500 items and gives more than"):
        fetched(Endless(2500), tmp_path)


def left(tmp_path: Path, change: Callable[[Path], object] = lambda _: None) -> Dataset:
    """A dataset whose first 1700 items are in a part file; `change` may alter that file."""

    async def leave() -> None:
        half = download(Dataset(2500, given=1700), tmp_path)
        with pytest.raises(TransientError):
            await ranges.fetch(half)
        await half._writer.flush()
        half.close()

    run_virtual(leave)
    (part,) = tmp_path.iterdir()
    change(part)
    return Dataset(2500)


def test_download_continues_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    """Only the missing items are requested, and the digest is that of the whole file."""
    dataset = left(tmp_path)
    file = fetched(dataset, tmp_path)
    assert dataset.asked[0] == 1700
    assert (tmp_path / "items.jsonl").read_bytes() == expected(ItemsQuery(), 2500)
    assert file.sha256 == fetched(Dataset(2500), tmp_path / "other").sha256


@pytest.mark.parametrize("after", [0.5, 12.3456, 31.0])
def test_live_download_that_was_cancelled_anywhere_is_resumed(tmp_path: Path, after: float) -> None:
    """The disk has whole lines then, and at the end no item is there twice or missing."""
    dataset = Dataset(2500, secs=0.01)

    async def follow() -> None:
        live = download(dataset, tmp_path)
        with anyio.move_on_after(after):
            while True:
                await live.advance()
                await anyio.sleep(1)
        live.close()

    run_virtual(follow)
    fetched(dataset, tmp_path)
    assert (tmp_path / "items.jsonl").read_bytes() == expected(ItemsQuery(), 2500)


def test_half_line_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    """The item that was in flight is requested again."""
    dataset = left(tmp_path, lambda part: part.write_bytes(part.read_bytes()[:-3]))
    fetched(dataset, tmp_path)
    assert dataset.asked[0] == 1699
    assert (tmp_path / "items.jsonl").read_bytes() == expected(ItemsQuery(), 2500)


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.write_bytes(part.read_bytes()[:1000] + bytes(4096) + b"}\n"),
        lambda part: part.rename(part.with_name(".items.jsonl.another.part")),
    ],
    ids=["with holes", "of another dataset"],
)
def test_part_file_that_cannot_be_trusted_is_not_used(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """A part with holes from a power cut, or of another attempt, is not continued."""
    dataset = left(tmp_path, change)
    fetched(dataset, tmp_path)
    assert dataset.asked[0] == 0
    assert (tmp_path / "items.jsonl").read_bytes() == expected(ItemsQuery(), 2500)
    assert [path.name for path in tmp_path.iterdir()] == ["items.jsonl"]


def test_live_download_with_filters_restarts_after_a_kill(tmp_path: Path) -> None:
    """The items in such a part file cannot be counted, so it is not continued."""
    query = ItemsQuery(clean=True)
    dataset = left(tmp_path, lambda _part: None)

    async def follow() -> None:
        live = download(dataset, tmp_path, query)
        while not live.is_whole:
            await live.advance()

    run_virtual(follow)
    (grown,) = tmp_path.glob(".items.jsonl.*.part")
    assert grown.read_bytes() == expected(query, 2500)
