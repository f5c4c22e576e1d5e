"""
No statement about one job or one run reads all jobs or all runs.

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
SCANS = {"select_place", "delete_job"}
"""The first runs once, for a person. SQLite looks whether the second leaves expansions alone."""

SORTS_FEW = {"select_oldest_runs", "sum_expansions"}
"""The runs in progress, and one row for each sweep."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, sql in queries().items()
        if OF_ONE & set(re.findall(r":(\w+)", sql)) and name not in SCANS
    ],
)
def test_statement_about_one_row_finds_it_by_an_index(name: str, tmp_path: Path) -> None:
    """SQLite's plan for it scans no table of jobs, attempts or runs."""
    sql = queries()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", sql))
    with closing(create(tmp_path / "ledger.sqlite")) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert not any(step.startswith("SCAN") for step in plan), plan


@pytest.mark.parametrize("name", sorted(queries()))
def test_statement_sorts_only_a_part_of_a_batch(name: str, tmp_path: Path) -> None:
    """SQLite sorts in memory: a million jobs at once would take hundreds of megabytes."""
    sql = queries()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", sql))
    with closing(create(tmp_path / "ledger.sqlite")) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    if any("TEMP B-TREE" in step for step in plan) and name not in SORTS_FEW:
        assert {"first", "end"} <= values.keys(), plan


def test_statements_have_different_names() -> None:
    """A second statement with the same name would silently replace the first."""
    names = Counter(name for name, _ in named_queries())
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "sql"), [pytest.param(*one, id=one[0]) for one in named_queries()]
)
def test_statement_begins_with_a_sentence(name: str, sql: str) -> None:
    """One sentence in the SQL says what each statement is for."""
    comment, statement = queries()[name].split("\n", 1)
    assert re.fullmatch(r"-- [^.]*\.", comment)
    assert "--" not in statement


def test_open_attempts_are_defined_in_one_place() -> None:
    """Only the view names the states of a settled attempt."""
    assert [name for name, sql in named_queries() if "NOT IN ('settled'" in sql] == []
