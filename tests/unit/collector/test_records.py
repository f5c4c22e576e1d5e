"""Records by pattern: from pages of keys, and with file names that cannot leave the folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.collector.collect import Collector
from orchestrator.collector.disk_check import look_at
from orchestrator.errors import NotFound, TruncatedBody
from orchestrator.group_worker import InlineWorker
from orchestrator.model.attempts import Collected
from orchestrator.model.jobs import CollectPlan, Job, JobInput
from orchestrator.store.atomic_files import Files
from orchestrator.store.file_names import record_key
from orchestrator.store.group_flush import flush_group
from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes
from tests.support.builders import make_job, make_run
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

NASTY = [
    "../../etc/passwd", "/etc/passwd", "...", ".hidden", "a/b", "a\\b", "CON", "nul.txt", "-rf",
    "A", "a", "Ab", "aB", "AB", "ab", "%2e", "x y", "\x00", "zero\n", "ü" * 100, "~", "k" * 256,
]  # fmt: skip


class Store(WholeClient):
    """A key-value store, in the form that the client gives: a thousand keys a page."""

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
    async def stream_record(
        self, _store_id: str, key: str, *, is_listed: bool
    ) -> AsyncIterator[Any]:
        assert is_listed or key in ("OUTPUT", ".", "..")
        """A record whose value is its key."""

        async def chunks() -> AsyncIterator[bytes]:
            yield key.encode()

        yield SimpleNamespace(content_type="text/plain", chunks=chunks)


class Empty(Store):
    """A store whose records have no bytes, and a run with an empty log."""

    @asynccontextmanager
    async def stream_record(
        self,
        _store_id: str,
        key: str,  # noqa: ARG002 - as the store's
        **_: object,
    ) -> AsyncIterator[Any]:
        """A record of 0 bytes."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b""

        yield SimpleNamespace(content_type="text/plain", chunks=chunks)

    def stream_log(self, run_id: str, **_: object) -> Any:
        """A log of 0 bytes."""
        return self.stream_record("", run_id)


def collect(
    tmp_path: Path, store: Any, job: Job, *, sizes: TransferSizes = USUAL_SIZES
) -> Collected:
    """What a collector reports about the records of a job."""

    async def collect() -> Collected:
        collector = Collector(
            store,
            Files(InlineWorker(flush_group)),
            folder=tmp_path / "batch" / "jobs",
            patience_secs=60.0,
            sizes=sizes,
        )
        return await collector.collect(job, make_run(), b"{}")

    return run_virtual(collect)


def wanting(*patterns: str, **fields: Any) -> Job:
    """A job that collects the records that match."""
    return make_job(collect=CollectPlan(items=False, records=patterns), **fields)


def collected(tmp_path: Path, keys: Sequence[str], *patterns: str) -> Path:
    """The folder of the records of a job that collects those that match."""
    job = wanting(*patterns)
    collect(tmp_path, Store(keys), job)
    return tmp_path / "batch" / "jobs" / job.key / "records"


def test_names_of_records_stay_in_their_folder(tmp_path: Path) -> None:
    """Each record is there once, its name shows its key, and no file is elsewhere."""
    folder = collected(tmp_path, NASTY, "*")
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(files.values()) == sorted(NASTY)
    keys = {record_key(name): key for name, key in files.items() if not name.startswith("%C3")}
    assert all(name == key for name, key in keys.items() if len(key) < 200)
    names = {name.lower() for name in files}
    assert len(names) == len(NASTY), "two are one on a file system that ignores case"
    outside = [
        path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents
    ]
    assert {path.parent for path in outside} == {folder.parent}


def test_empty_record_and_empty_output_are_empty_files(tmp_path: Path) -> None:
    """The ledger then has no missing record."""
    plan = CollectPlan(items=False, records=("*",), output=True, log=True)
    job = make_job(collect=plan)
    missing = collect(tmp_path, Empty(["empty"]), job)
    folder = tmp_path / "batch" / "jobs" / job.key
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*.*") if path.is_file()}
    assert (sizes["output.txt"], sizes["log.txt"]) == (0, 0)
    assert (folder / "records" / "empty").read_bytes() == b""
    assert (missing.records, missing.missing) == (1, ())
    found = look_at(folder, job, None, records=missing.records, missing=missing.missing)
    assert found.problems == ()


def test_records_are_found_on_all_pages_of_keys(tmp_path: Path) -> None:
    """Of ten thousand keys, all that match a pattern are downloaded."""
    keys = [f"page-{number:05}" for number in range(10_000)]
    folder = collected(tmp_path, keys, "page-00*7", "page-09999", "no-*")
    assert len(list(folder.iterdir())) == 101


def test_records_whose_keys_are_dots_are_downloaded(tmp_path: Path) -> None:
    """They are requested like any other, and their file names are not steps of a path."""
    records = collected(tmp_path, [".", "..", "a"], "*")
    assert {path.name: path.read_text() for path in records.iterdir()} == {
        "%2E": ".",
        "%2E.": "..",
        "a": "a",
    }


class Normalising(Store):
    """A platform behind a proxy that removes dots from the path."""

    @asynccontextmanager
    async def stream_record(
        self,
        _store_id: str,
        key: str,
        **_: object,
    ) -> AsyncIterator[Any]:
        """The store itself, one step up; an error if the step leads to no resource."""
        if key == ".":
            raise NotFound("no such page", status=404)

        async def chunks() -> AsyncIterator[bytes]:
            yield f'{{"data": {{"id": "{_store_id}"}}}}'.encode() if key == ".." else b"a"

        yield SimpleNamespace(content_type="application/json", chunks=chunks)


def test_answer_for_a_step_of_the_path_is_not_taken_for_a_record(tmp_path: Path) -> None:
    """Records that no address can name are listed as missing, and the others are downloaded."""
    job = wanting("*")
    missing = collect(tmp_path, Normalising([".", "..", "a"]), job)
    assert (missing.records, missing.missing) == (1, ("record .", "record .."))
    records = tmp_path / "batch" / "jobs" / job.key / "records"
    assert [path.name for path in records.iterdir()] == ["a"]


def pages(kind: str) -> Iterator[tuple[list[str], str]]:
    """Pages that do not end: their keys, and the key after which the next one begins."""
    for number in count():
        match kind:
            case "empty":
                yield [], f"key-{number}"
            case "again":
                yield ["a", "b"], "b"
            case _:
                yield [f"key-{number}"], f"key-{number}"


@pytest.mark.parametrize("kind", ["empty", "again", "new"])
def test_list_of_keys_that_does_not_end_is_an_error(tmp_path: Path, kind: str) -> None:
    """The job gets an error instead of waiting forever."""
    endless = pages(kind)

    class Endless(Store):
        async def list_keys(self, _store_id: str, **_query: Any) -> Any:
            keys, following = next(endless)
            items = [SimpleNamespace(key=key) for key in keys]
            return SimpleNamespace(
                items=items, is_truncated=True, next_exclusive_start_key=following
            )

    with pytest.raises(TruncatedBody, match="the list of its keys does not end"):
        collect(tmp_path, Endless([]), wanting("no-*"))


@pytest.mark.parametrize(
    ("pattern", "found"), [("*", {"OUT": "OUT"}), ("IN*", {}), ("INPUT", {"INPUT": "INPUT"})]
)
def test_patterns_leave_the_input_out(tmp_path: Path, pattern: str, found: dict[str, str]) -> None:
    """The input is downloaded only if its full name is given."""
    folder = collected(tmp_path, ["INPUT", "OUT"], pattern)
    assert {path.name: path.read_text() for path in folder.glob("*")} == found


def test_input_with_secrets_is_saved_with_their_expressions(tmp_path: Path) -> None:
    """The platform's copy of the input has the secret values, which no file may have."""
    body = b'{"key":"{{ env.KEY }}"}'
    job = wanting("INPUT", input=JobInput(body=body, late_paths=(("key",),)))
    assert collect(tmp_path, Store(["INPUT"]), job).records == 1
    saved = tmp_path / "batch" / "jobs" / job.key / "records" / "INPUT"
    assert saved.read_bytes() == body


def test_input_as_the_output_record_has_expressions(tmp_path: Path) -> None:
    """However the input is requested, no file has the values of the environment."""
    body = b'{"key":"{{ env.KEY }}"}'
    job = make_job(
        collect=CollectPlan(items=False, output=True),
        output_record_key="INPUT",
        input=JobInput(body=body, late_paths=(("key",),)),
    )
    assert collect(tmp_path, Store(["INPUT"]), job).missing == ()
    assert (tmp_path / "batch" / "jobs" / job.key / "output.json").read_bytes() == body


def test_record_without_an_end_is_an_error(tmp_path: Path) -> None:
    """A body without a length that does not end does not fill the disk."""
    sizes = TransferSizes(most_unknown_bytes=10_000_000)

    class Endless(Store):
        @asynccontextmanager
        async def stream_record(self, *_asked: Any, **_how: Any) -> AsyncIterator[Any]:
            async def chunks() -> AsyncIterator[bytes]:
                while True:
                    yield b"x" * 1_000_000

            yield SimpleNamespace(content_type="text/plain", chunks=chunks, length=None)

    with pytest.raises(TruncatedBody, match="OUT is longer than"):
        collect(tmp_path, Endless(["OUT"]), wanting("OUT"), sizes=sizes)
    assert not list(tmp_path.rglob("*.part"))
