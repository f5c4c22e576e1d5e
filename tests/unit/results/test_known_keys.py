"""Items that earlier batches had."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.distinct_keys import seen_by
from orchestrator.results.item_source import NotMerged
from orchestrator.results.known_keys import remember
from orchestrator.results.table import write_table
from tests.support.tables import sources_in

JSONL = ResultsFormat.JSONL
CSV = ResultsFormat.CSV
PARQUET = ResultsFormat.PARQUET


def test_items_of_an_earlier_table_are_old_in_each_format(tmp_path: Path) -> None:
    """Types of the spec change no key, so another format or a table made later knows an item."""
    pytest.importorskip("pyarrow")
    items = ['{"id":"007","day":"2026-11-25"}', '{"id":"7","day":"2026-11-25"}']
    types = {"id": "integer", "day": "date"}
    sources = sources_in(tmp_path, [items])
    newer = [replace(source, number=1) for source in sources]
    with seen_by(tmp_path / "seen") as seen:
        remember(lambda: sources, ("id", "day"), seen)
        for format_ in (JSONL, CSV, PARQUET):
            plan = ResultsPlan(format=format_, unique=("id", "day"), types=types)
            (tmp_path / format_).mkdir()
            table = write_table(lambda: newer, plan, tmp_path / format_, seen=seen)
            assert (table.rows, table.old) == (0, 2)


@pytest.mark.parametrize("param", ["k", "other"])
def test_field_of_late_items_identifies_them(tmp_path: Path, param: str) -> None:
    """However late it comes in a batch that no table was made of, and whatever parameters are."""
    items = ['{"a":1}'] * 20_000 + ['{"k":1}', '{"k":2}']
    sources = sources_in(tmp_path, [items], [{param: 2}])
    newer = [replace(source, number=1) for source in sources]
    (tmp_path / "r").mkdir()
    with seen_by(tmp_path / "seen") as seen:
        remember(lambda: sources, ("k",), seen)
        table = write_table(lambda: newer, ResultsPlan(unique=("k",)), tmp_path / "r", seen=seen)
    assert (table.rows, table.old) == (20_000, 2)


def test_full_disk_is_no_reason_to_remove_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has the keys of removed batches too: only one that is damaged is of no use."""
    connect = sqlite3.connect

    def with_few_pages(*given: Any, **named: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*given, **named)
        db.execute("PRAGMA max_page_count = 5")
        return db

    monkeypatch.setattr(sqlite3, "connect", with_few_pages)
    drawn = Random(0)  # noqa: S311 - no secret
    keys = [drawn.randbytes(16) for _ in range(5_000)]
    with (
        pytest.raises(NotMerged, match=r"disk is full.*; correct that") as caught,
        seen_by(tmp_path) as seen,
    ):
        seen.take([*keys], [1] * len(keys))
    assert "remove" not in str(caught.value).lower()


def test_keys_that_are_damaged_may_be_made_again(tmp_path: Path) -> None:
    """The message says what is lost with the file."""
    (tmp_path / "keys.sqlite").write_bytes(b"no database" * 1_000)
    said = r"not a database.*items of removed batches count as new"
    with pytest.raises(NotMerged, match=said), seen_by(tmp_path):
        pass
