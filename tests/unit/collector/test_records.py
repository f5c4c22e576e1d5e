"""
Records by pattern: over pages of keys, and under names that cannot leave the folder.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.collector.collect import Collector
from orchestrator.collector.files import Files, flush_group
from orchestrator.collector.names import record_key
from orchestrator.model.jobs import CollectPlan
from orchestrator.threads import InlineWorker
from tests.support.builders import make_job, make_run
from tests.support.virtual_time import run_virtual

NASTY = [
    "../../etc/passwd", "/etc/passwd", "..", ".", ".hidden", "a/b", "a\\b", "CON", "nul.txt", "-rf",
    "A", "a", "Ab", "aB", "AB", "ab", "%2e", "x y", "\x00", "zero\n", "ü" * 100, "~", "k" * 256,
]  # fmt: skip


class Store:
    """A key-value store of a platform, as the client gives it: a thousand keys a page."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = sorted(keys)

    async def list_keys(self, _store_id: str, *, exclusive_start_key: str | None) -> Any:
        """The next page."""
        after = [key for key in self._keys if key > (exclusive_start_key or "")]
        page, more = after[:1000], len(after) > 1000
        return SimpleNamespace(
            items=[SimpleNamespace(key=key) for key in page],
            is_truncated=more,
            next_exclusive_start_key=page[-1] if more else None,
        )

    @asynccontextmanager
    async def stream_record(self, _store_id: str, key: str) -> AsyncIterator[Any]:
        """A record whose value is its key."""

        async def chunks() -> AsyncIterator[bytes]:
            yield key.encode()

        yield SimpleNamespace(content_type="text/plain", chunks=chunks)


def collected(tmp_path: Path, keys: Sequence[str], *patterns: str) -> Path:
    """The folder of the records of a job that wants those that match."""
    job = make_job(collect=CollectPlan(items=False, records=patterns))

    async def collect() -> None:
        collector = Collector(
            Store(keys),  # type: ignore[arg-type] # the methods of it that are called
            Files(InlineWorker(flush_group)),
            folder=tmp_path / "batch" / "jobs",
            patience_secs=60.0,
        )
        await collector.collect(job, make_run(), b"{}")

    run_virtual(collect)
    return tmp_path / "batch" / "jobs" / job.key / "records"


def test_names_of_records_stay_in_their_folder(tmp_path: Path) -> None:
    """Each record is there once, its key can be told from its name, and nothing is elsewhere."""
    folder = collected(tmp_path, NASTY, "*")
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(files.values()) == sorted(NASTY)
    told = {record_key(name): key for name, key in files.items() if not name.startswith("%C3")}
    assert all(name == key for name, key in told.items() if len(key) < 200)
    names = {name.lower() for name in files}
    assert len(names) == len(NASTY), "two are one on a file system that ignores case"
    outside = [
        path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents
    ]
    assert {path.parent for path in outside} == {folder.parent}


def test_records_come_over_pages_of_keys(tmp_path: Path) -> None:
    """All that match a pattern, of ten thousand keys."""
    keys = [f"page-{number:05}" for number in range(10_000)]
    folder = collected(tmp_path, keys, "page-00*7", "page-09999", "no-*")
    assert len(list(folder.iterdir())) == 101
