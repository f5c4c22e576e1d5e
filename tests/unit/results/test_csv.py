"""Tables in the format CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model.batches import ResultsFormat
from orchestrator.results.table_sizes import TableSizes
from tests.support.tables import csv_rows, exact, make_table, read_back

CSV = ResultsFormat.CSV


def test_csv_cell_without_a_value_is_empty(tmp_path: Path) -> None:
    """An empty text is quoted, unlike a missing value."""
    make_table(
        tmp_path / "r", [['{"a":"","b":1}', '{"b":2}', '{"a":"x,\\"y\\"","b":3}']], format=CSV
    )
    assert (tmp_path / "r" / "items.csv").read_text() == (
        "_job,_run,a,b\n"
        'job-1,run-1,"",1\n'
        "job-1,run-1,,2\n"
        'job-1,run-1,"x,""y""",3\n'
    )  # fmt: skip


def test_csv_has_no_formulas(tmp_path: Path) -> None:
    """Text that a spreadsheet would run is quoted; nested values are JSON; numbers stay numbers."""
    items = ['{"shop":"=1","deep":{"a":[1]},"n":-1}', '{"shop":"\'x"}']
    make_table(tmp_path / "r", [items], format=CSV, csv_safe=True)
    first, second = csv_rows(tmp_path / "r" / "items.csv")
    assert (first["shop"], first["deep"], first["n"]) == ("'=1", '{"a":[1]}', "-1")
    assert second["shop"] == "''x"


@pytest.mark.parametrize("first", ["1", "1.5", "true", "9007199254740993"])
def test_late_value_of_another_kind_is_quoted_in_csv(tmp_path: Path, first: str) -> None:
    """The file was begun when the column had only numbers, which need no quotes."""
    late = ['"n/a"', '{"low":1,"high":2}', '"say \\"hi\\", twice"', "-5", '"-5"', "-0.5"]
    items = [f'{{"v":{value},"n":{n}}}' for n, value in enumerate([first, *late])]
    sizes = TableSizes(most_rows=1, sampled_jobs=1, sampled_bytes=1)
    make_table(tmp_path / "r", [items], format=CSV, csv_safe=True, sizes=sizes)
    assert [item for _, item in read_back(tmp_path / "r")] == [*map(exact, items)]
