"""The platform's memory, and its timers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import anyio
import orjson

from apify_emulator.journal import Journal
from apify_emulator.lifecycle.timers import Timers


def test_journal_keeps_the_last_word_about_each_document(tmp_path: Path) -> None:
    """A document is what was said last; a dropped one is gone, and the file is compacted."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    assert journal.load() == {}
    for number in range(3):
        journal.put("run", "a", {"n": number})
    with journal.batch():
        journal.put("run", "b", {"n": 9})
        journal.put("task", "t", {})
    journal.drop("task", "t")
    journal.close()
    again = Journal(path)
    assert again.load() == {"run": {"a": {"n": 2}, "b": {"n": 9}}, "task": {}}
    again.close()
    assert [orjson.loads(line)[1] for line in path.read_bytes().splitlines()] == ["a", "b"]


def test_journal_reads_on_behind_half_a_line(tmp_path: Path) -> None:
    """Half a line in the middle, as a full disk leaves it, costs that line only."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'["run","a",{"n":1}]\n["run","b",{"n\n["run","c",{"n":3}]\n')
    journal = Journal(path)
    assert journal.load() == {"run": {"a": {"n": 1}, "c": {"n": 3}}}
    journal.close()


async def test_timers_fire_in_order_and_not_when_cancelled() -> None:
    """Calls happen in the order of their time, whatever the order in which they were asked for."""
    timers = Timers(nullcontext)
    happened: list[str] = []
    done = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(timers.run)
        timers.after(0.03, done.set)
        timers.after(0.02, lambda: happened.append("second"))
        timers.after(0.01, lambda: happened.append("first"))
        timers.after(0.01, lambda: happened.append("never")).cancel()
        await done.wait()
        group.cancel_scope.cancel()
    assert happened == ["first", "second"]
