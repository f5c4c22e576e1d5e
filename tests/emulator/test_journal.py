"""What the emulator keeps across restarts."""

from __future__ import annotations

from pathlib import Path

import orjson

from apify_emulator.journal import Journal


def test_journal_keeps_the_last_line_about_each_document(tmp_path: Path) -> None:
    """The last line about a document wins; a deleted one is gone, and the file is compacted."""
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


def test_journal_skips_an_incomplete_line(tmp_path: Path) -> None:
    """An incomplete line, as a full disk leaves it, loses only the change in that line."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'["run","a",{"n":1}]\n["run","b",{"n\n["run","c",{"n":3}]\n')
    journal = Journal(path)
    assert journal.load() == {"run": {"a": {"n": 1}, "c": {"n": 3}}}
    journal.close()
