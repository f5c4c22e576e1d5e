"""
That no statement about one job or one run looks at all of them.

A batch may have a hundred thousand.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from orchestrator.ledger.connection import create, queries

OF_ONE = {"seq", "number", "run_id", "key"}
COUNTS_WHAT_IS_BEFORE = {"select_place"}
"""Asked once, for a person."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, sql in queries().items()
        if OF_ONE & set(re.findall(r":(\w+)", sql)) and name not in COUNTS_WHAT_IS_BEFORE
    ],
)
def test_statement_about_one_row_finds_it_by_an_index(name: str, tmp_path: Path) -> None:
    """SQLite's plan of it scans no table of jobs, attempts or runs."""
    sql = queries()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", sql))
    with closing(create(tmp_path / "ledger.sqlite")) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert not any(step.startswith("SCAN") for step in plan), plan


def test_statements_have_names_of_their_own() -> None:
    """A second statement of one name would silently take the place of the first."""
    text = files("orchestrator.ledger").joinpath("queries.sql").read_text("utf-8")
    names = re.findall(r"^-- name: (\w+)$", text, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
