from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from orchestrator.errors import OutputLost
from orchestrator.group_worker import GroupWorker
from orchestrator.store.atomic_files import Files
from orchestrator.store.disk_writes import write_file
from orchestrator.store.group_flush import flush_group

BOUND_SECS = 10.0


async def test_files_appear_whole_under_their_names(tmp_path: Path) -> None:
    """Files that are saved together all exist, and no other file remains."""
    async with GroupWorker("files", flush_group) as worker:
        await Files(worker).save(tmp_path / "job", {"a.json": b"1", "b.json": b"22"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "job").iterdir()} == {
        "a.json": b"1",
        "b.json": b"22",
    }


async def test_growing_file_is_hidden_until_it_is_published(tmp_path: Path) -> None:
    """A file gets its final name only when it is whole."""
    async with GroupWorker("files", flush_group) as worker:
        part = await Files(worker).open_part(tmp_path / "job", "items.jsonl")
        await part.append(b"one\n")
        assert not (tmp_path / "job" / "items.jsonl").exists()
        await part.append(b"two\n")
        await part.publish()
        part.discard()
    assert (tmp_path / "job" / "items.jsonl").read_bytes() == b"one\ntwo\n"


async def test_discarded_file_leaves_nothing(tmp_path: Path) -> None:
    """A cancelled download leaves no file."""
    async with GroupWorker("files", flush_group) as worker:
        part = await Files(worker).open_part(tmp_path / "job", "items.jsonl")
        await part.append(b"half")
        part.discard()
    assert list((tmp_path / "job").iterdir()) == []


async def test_failed_save_does_not_affect_the_others(tmp_path: Path) -> None:
    """A folder that cannot be created is an error only for the task that needs it."""
    (tmp_path / "blocked").write_text("a file where a folder should be")
    async with GroupWorker("files", flush_group) as worker:
        files = Files(worker)
        with pytest.raises(OutputLost, match="cannot be written"):
            await files.save(tmp_path / "blocked", {"a": b"1"})
        await files.save(tmp_path / "free", {"a": b"1"})
    assert (tmp_path / "free" / "a").read_bytes() == b"1"


def test_written_file_replaces_the_earlier_one(tmp_path: Path) -> None:
    """A report that is written again replaces the old one completely."""
    write_file(tmp_path / "summary.json", [b"old and longer"])
    write_file(tmp_path / "summary.json", [b"new"])
    assert (tmp_path / "summary.json").read_bytes() == b"new"


def test_file_with_several_writers_is_always_whole(tmp_path: Path) -> None:
    """A reader always finds one of the contents, and no writer fails."""
    path = tmp_path / "summary.json"
    contents = [bytes([65 + number]) * (40_000 * (number + 1)) for number in range(4)]
    write_file(path, contents[:1])

    def write(content: bytes) -> None:
        for _ in range(25):
            write_file(path, [content[:20_000], content[20_000:]])

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, content) for content in contents]
        while not all(writer.done() for writer in writers):
            assert path.read_bytes() in contents
    for writer in writers:
        writer.result()
    assert [found.name for found in tmp_path.iterdir()] == ["summary.json"]


def test_file_is_written_beside_a_process_that_is_paused(tmp_path: Path) -> None:
    """Whoever was stopped while it wrote a report does not keep others from theirs."""
    path = tmp_path / "summary.json"
    written, goes_on = Event(), Event()

    def pieces() -> Iterator[bytes]:
        yield b"the paused one"
        written.set()
        assert goes_on.wait(BOUND_SECS)

    with ThreadPoolExecutor(2) as pool:
        paused = pool.submit(write_file, path, pieces())
        assert written.wait(BOUND_SECS)
        try:
            pool.submit(write_file, path, [b"the other"]).result(BOUND_SECS)
            assert path.read_bytes() == b"the other"
        finally:
            goes_on.set()
        paused.result()
    assert path.read_bytes() == b"the paused one"
    assert [found.name for found in tmp_path.iterdir()] == ["summary.json"]


def _fail(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("call", ["ftruncate", "write", "fsync"])
def test_failed_write_holds_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The same process can write the report later."""
    before = _open_files()
    monkeypatch.setattr(os, call, _fail)
    with pytest.raises(OutputLost):
        write_file(tmp_path / "summary.json", [b"1"])
    assert _open_files() == before


@pytest.mark.parametrize("call", ["write", "fsync"])
async def test_failed_save_of_several_files_holds_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A disk that fails for hours does not use up the open files of the process."""
    async with GroupWorker("files", flush_group) as worker:
        before = _open_files()
        monkeypatch.setattr(os, call, _fail)
        with pytest.raises(OutputLost):
            await Files(worker).save(tmp_path, {"a": b"1", "b": b"2"})
        assert _open_files() == before


async def test_part_file_that_cannot_be_cut_is_not_held_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that cannot continue leaves no file open."""
    (tmp_path / ".items.part").write_bytes(b"{}\nhalf")
    async with GroupWorker("files", flush_group) as worker:
        before = _open_files()
        monkeypatch.setattr(os, "ftruncate", _fail)
        with pytest.raises(OutputLost):
            await Files(worker).reopen_part(tmp_path, "items.jsonl", part="items")
        assert _open_files() == before
