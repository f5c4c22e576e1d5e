"""
That no statement about one job or one run looks at all of them.

A batch may have a hundred thousand.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.ledger.connection import create
from orchestrator.ledger.queries import named_queries, queries

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
    names = Counter(name for name, _ in named_queries())
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "sql"), [pytest.param(*one, id=one[0]) for one in named_queries()]
)
def test_statement_begins_with_a_sentence(name: str, sql: str) -> None:
    """Who reads the SQL learns from one sentence what each statement is for."""
    comment, statement = queries()[name].split("\n", 1)
    assert re.fullmatch(r"-- [^.]*\.", comment)
    assert "--" not in statement


def test_what_is_open_is_said_in_one_place() -> None:
    """Only the view names the states in which an attempt is over."""
    assert [name for name, sql in named_queries() if "NOT IN ('settled'" in sql] == []
