"""The items of a synchronous answer get their final name if the platform has no more items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.collector.collect import Collector
from orchestrator.group_worker import InlineWorker
from orchestrator.model.attempts import Collected
from orchestrator.model.jobs import ItemsQuery, Mode
from orchestrator.model.proofs import ProvenBy
from orchestrator.store.atomic_files import Files
from orchestrator.store.group_flush import flush_group
from tests.support.builders import make_job, make_run
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient


def lines(start: int, end: int) -> bytes:
    return b"".join(b'{"i":%d}\n' % number for number in range(start, end))


@dataclass
class Growing(WholeClient):
    """A platform whose dataset has so many items; records the offset and limit of each request."""

    items: int
    asked: list[tuple[int, int | None]] = field(default_factory=list)

    def answer(self, offset: int = 0, limit: int | None = None) -> Any:
        end = self.items if limit is None else min(self.items, offset + limit)
        body = lines(offset, end)

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        async def read() -> bytes:
            return body

        return SimpleNamespace(
            total=self.items, limit=limit, count=max(0, end - offset), chunks=chunks, read=read
        )

    @asynccontextmanager
    async def stream_items(
        self, _dataset_id: str, _query: ItemsQuery, *, offset: int, limit: int | None
    ) -> AsyncIterator[Any]:
        """The items from `offset` on."""
        self.asked.append((offset, limit))
        yield self.answer(offset, limit)


def collected(
    folder: Path, platform: Growing, meanwhile: Callable[[Path], object]
) -> tuple[Collected, bytes]:
    """What is collected of a job whose answer had two items, and the text of its file."""
    job = make_job(mode=Mode.SYNC)

    async def collect() -> Collected:
        collector = Collector(
            platform,  # type: ignore[arg-type] # the one method of it that is called
            Files(InlineWorker(flush_group)),
            folder=folder,
            patience_secs=60.0,
            settled_after_secs=10.0,
        )
        await collector.save_answer(job, Growing(2).answer())
        assert not (folder / job.key / "items.jsonl").exists()
        meanwhile(folder / job.key / ".items.jsonl.answer.part")
        return await collector.collect(job, make_run(), b"{}")

    found = run_virtual(collect)
    assert [path.name for path in (folder / job.key).iterdir() if path.name[0] == "."] == []
    return found, (folder / job.key / "items.jsonl").read_bytes()


def test_answer_is_proven_by_one_request_behind_its_last_item(tmp_path: Path) -> None:
    """The items are not downloaded again if there are no more."""
    platform = Growing(2)
    found, text = collected(tmp_path, platform, lambda _part: None)
    assert (text, platform.asked) == (lines(0, 2), [(2, 1)])
    assert found.proof is not None
    assert (found.items, found.proof.by, found.proof.stored) == (2, ProvenBy.LOOK, 2)


@pytest.mark.parametrize(
    ("items", "meanwhile"),
    [(5, lambda _part: None), (2, lambda part: part.unlink())],
    ids=["more items", "lost file"],
)
def test_incomplete_answer_is_downloaded_again(
    tmp_path: Path, items: int, meanwhile: Callable[[Path], object]
) -> None:
    """Late items, and items that were lost meanwhile, are downloaded."""
    found, text = collected(tmp_path, Growing(items), meanwhile)
    assert text == lines(0, items)
    assert found.proof is not None
    assert (found.items, found.proof.by) == (items, ProvenBy.DOWNLOAD)
