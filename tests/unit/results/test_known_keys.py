"""Items that earlier batches had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.results.distinct_keys import seen_by
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
