"""Items of any size: written in parts as they arrive, counted, and cut off at a broken download."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.typing import EventDict

from orchestrator.collector import acceptance, ranges
from orchestrator.collector.item_download import ItemsDownload
from orchestrator.collector.item_lines import item_lines
from orchestrator.collector.items_file import ItemsFile
from orchestrator.errors import TruncatedBody
from orchestrator.event_log import bound
from orchestrator.group_worker import InlineWorker
from orchestrator.model.attempts import Collected
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import Expectation, ItemsQuery
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from orchestrator.store.sink import Sink
from orchestrator.store.transfer_sizes import TransferSizes
from tests.support.builders import make_job, make_run
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

SMALL = TransferSizes(small_bytes=16, piece_bytes=16, long_line_bytes=64)
LONG = 2_500_000
"""The bytes of a line that is longer than the blocks in which a part file is read."""


def test_sink_gives_a_long_line_in_parts() -> None:
    """Only a part of the line stays in memory, and it counts as one line."""
    sink = Sink(by_line=True, sizes=SMALL)
    handed = [sink.feed(b"x" * 10) for _ in range(100)]
    assert max(len(piece or b"") for piece in handed) <= 80
    assert sum(len(piece or b"") for piece in handed) > 900
    assert (sink.is_inside_line, sink.lines) == (True, 0)
    sink.end_line()
    assert (sink.rest()[-1:], sink.lines, sink.size_bytes) == (b"\n", 1, 1001)


@pytest.mark.parametrize("seed", range(200))
def test_broken_downloads_leave_whole_lines(seed: int) -> None:
    """After any break, what was written and not removed ends with a whole line."""
    rng = random.Random(seed)  # noqa: S311 - a test
    written, sink, line_start = bytearray(), Sink(by_line=True, sizes=SMALL), 0
    expected = b""
    for _ in range(8):
        text = b"".join(
            b"y" * rng.choice([1, 5, 30, 200, 500]) + b"\n" for _ in range(rng.randint(1, 5))
        )
        cut = rng.randint(0, len(text))
        body, at = text[:cut], 0
        while at < len(body):
            size = rng.randint(1, 60)
            was_inside = sink.is_inside_line
            ready = sink.feed(body[at : at + size])
            if sink.is_inside_line and not was_inside:
                line_start = len(written)
            written += ready or b""
            at += size
        if sink.forget_half_line():
            del written[line_start:]
        expected += body[: body.rfind(b"\n") + 1]
        assert sink.size_bytes == len(expected)
        assert sink.lines == expected.count(b"\n")
    written += sink.rest()
    assert written == expected


async def test_half_line_of_any_length_is_cut_off(tmp_path: Path) -> None:
    """A part file that was closed inside a long item continues after the item before it."""
    part = tmp_path / ".items.jsonl.d1.part"
    part.write_bytes(b"1\n" + b"2" * LONG + b"\n" + b"3" * LONG)
    files = Files(InlineWorker(flush_group))
    kept = await files.reopen_part(tmp_path, "items.jsonl", part="items.jsonl.d1")
    assert kept is not None
    whole = b"1\n" + b"2" * LONG + b"\n"
    assert (kept.lines, kept.size_bytes, part.read_bytes()) == (2, len(whole), whole)
    assert kept.part.sha256() == hashlib.sha256(whole).hexdigest()
    kept.part.discard()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a\nb", [b"a\n", b"b"]),
        (b"0123456789\n", [b"0123456789\n"]),
        (b"01234567890\nb\n", [None, b"b\n"]),
        (b"x" * 100 + b"\nb\n", [None, b"b\n"]),
        (b"a\n" + b"x" * 100, [b"a\n", None]),
    ],
)
def test_lines_that_are_too_large_are_counted(text: bytes, lines: list[bytes | None]) -> None:
    """They are skipped without being read into memory, and the next line is found."""
    assert list(item_lines(io.BytesIO(text), largest_bytes=10)) == lines


class Breaking(WholeClient):
    """A dataset, in the form that the client gives; its body breaks at each of `cuts`."""

    def __init__(self, lines: list[bytes], cuts: list[int]) -> None:
        self._lines = lines
        self._cuts = cuts

    @asynccontextmanager
    async def stream_items(
        self, _dataset_id: str, _query: ItemsQuery, *, offset: int, limit: int | None
    ) -> AsyncIterator[Any]:
        """All items from `offset` on."""
        body = b"".join(self._lines[offset:])
        cut = self._cuts.pop(0) if self._cuts else None

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(body[:cut]), 7):
                yield body[:cut][start : start + 7]
            if cut is not None:
                raise TruncatedBody("it broke")

        total = len(self._lines)
        yield SimpleNamespace(total=total, limit=limit, count=total - offset, chunks=chunks)


@pytest.mark.parametrize("cuts", [[], [150], [0, 3, 100, 500, 1003, 1004, 1100]])
def test_long_item_is_downloaded_again_where_it_broke(tmp_path: Path, cuts: list[int]) -> None:
    """The written part of it is replaced, and the file and its digest are those of the whole."""
    lines = [b"1\n", b"2" * 1000 + b"\n", b"3" * 1000 + b"\n", b"4\n"]

    async def fetch() -> ItemsFile:
        whole = ItemsDownload(
            Breaking(lines, cuts),  # type: ignore[arg-type] # the one method of it that is called
            Files(InlineWorker(flush_group)),
            folder=tmp_path,
            name="items.jsonl",
            dataset_id=DatasetId("d1"),
            query=ItemsQuery(),
            sizes=SMALL,
        )
        file = await ranges.fetch(whole)
        await whole.publish()
        return file

    file = run_virtual(fetch)
    text = b"".join(lines)
    assert (tmp_path / "items.jsonl").read_bytes() == text
    assert (file.items, file.size_bytes) == (4, len(text))
    assert file.sha256 == hashlib.sha256(text).hexdigest()


def test_item_that_is_too_large_to_check_causes_a_warning(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    """A warning names it; no second run is paid for because this program cannot parse an item."""
    body = b'{"a":1}\n' + b'{"a":"%s"}\n' % (b"x" * 100)
    job = make_job(expect=Expectation(fields=("a",)))
    (tmp_path / job.key).mkdir()
    (tmp_path / job.key / "items.jsonl").write_bytes(body)
    found = Collected(items=2, size_bytes=len(body), sha256="0" * 64)
    judge = acceptance.Acceptance(tmp_path, {}, largest_bytes=20)
    with bound(job=job.key):
        assert run_virtual(partial(judge.complaint, job, make_run(), found)) is None
    assert logged == [
        {
            "event": "items_not_checked",
            "log_level": "warning",
            "job": job.key,
            "items": "2",
            "why": "larger than 64 MiB: counted, and not parsed",
        }
    ]
    counting = make_job(expect=Expectation(min_items=2))
    assert run_virtual(partial(judge.complaint, counting, make_run(), found)) is None
