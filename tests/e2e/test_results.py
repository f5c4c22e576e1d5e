from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.merging import merge_results
from orchestrator.model.batches import ResultsPlan
from tests.support.command import Command, sweep

duckdb = pytest.importorskip("duckdb")


def spec(
    results: str, *, jobs: int = 2, item: str = '{ shop = "={{ n }}", deep = { a = [1] } }'
) -> str:
    text = sweep("merged", jobs, duration_secs=0.01, items=2, item="ITEM")
    return text.replace('"ITEM"', item) + f"[results]\n{results}\n"


def merge(command: Command, text: str) -> Path:
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    return Path(done.json["folder"]) / "results"


def rows(path: Path) -> list[dict[str, Any]]:
    return sorted(map(json.loads, path.read_text().splitlines()), key=json.dumps)


def test_items_of_all_jobs_are_one_table(command: Command) -> None:
    """With the job, its run and its parameters as columns, and one schema over all."""
    results = merge(command, spec('format = "jsonl"'))
    assert [path.name for path in results.iterdir()] == ["items.jsonl"]
    found = rows(results / "items.jsonl")
    assert [(row["_job"], row["n"], row["index"]) for row in found] == [
        ("job-1", 1, 0), ("job-1", 1, 1), ("job-2", 2, 0), ("job-2", 2, 1),
    ]  # fmt: skip
    assert all(row["_run"] for row in found)
    assert found[0]["deep"] == {"a": [1]}


@pytest.mark.parametrize("late", ['"late": 1', '"deep": {"late": 1}'], ids=["field", "inner field"])
def test_field_that_only_a_late_item_has_is_a_column(command: Command, late: str) -> None:
    """Nothing is left out for being rare."""
    folder = merge(command, spec("", jobs=1)).parent
    path = folder / "jobs" / "job-1" / "items.jsonl"
    plain = '{"deep": {"a": 1}}\n' if "deep" in late else '{"a": 1}\n'
    path.write_text(plain * 30_000 + f"{{{late}}}\n")
    assert merge_results(folder, ResultsPlan()) == 30_001
    assert (folder / "results" / "items.jsonl").read_text().count('"late":1') == 1


def test_parquet_is_partitioned_by_a_parameter(command: Command) -> None:
    """A folder for each value, as readers of Parquet expect it."""
    results = merge(command, spec('format = "parquet"\npartition_by = "n"'))
    assert {path.name for path in results.iterdir()} == {"n=1", "n=2"}
    query = f"SELECT count(*), max(n) FROM read_parquet('{results}/**/*.parquet')"  # noqa: S608 - our own path
    assert duckdb.connect().execute(query).fetchone() == (4, 2)


def test_csv_has_no_formulas(command: Command) -> None:
    """What a spreadsheet would run is text; what is nested is JSON."""
    results = merge(command, spec('format = "csv"\ncsv_safe = true'))
    with (results / "items.csv").open(newline="") as file:
        first, *_ = sorted(csv.DictReader(file), key=lambda row: row["_job"])
    assert (first["shop"], first["deep"]) == ("'=1", '{"a":[1]}')


def test_duplicates_are_dropped_and_only_what_is_new_is_kept(command: Command) -> None:
    """By the fields that tell items apart, within a batch and against the last one."""
    unique = 'unique = ["index", "k"]'
    results = merge(command, spec(unique, item="{ k = 7 }"))
    assert len(rows(results / "items.jsonl")) == 2
    text = spec(f"{unique}\nnew_only = true", jobs=3, item='{ k = "{{ 8 if n == 3 else 7 }}" }')
    found = rows(merge(command, text) / "items.jsonl")
    assert [(row["_job"], row["k"]) for row in found] == [("job-3", 8)] * 2


def test_batch_without_items_has_empty_results(command: Command) -> None:
    """Nothing is not an error."""
    results = merge(command, spec("").replace("items = 2", "items = 0"))
    assert (results / "items.jsonl").read_text() == ""


def test_collect_makes_the_results_again(command: Command) -> None:
    """The folder is made of what is on disk, whole each time."""
    results = merge(command, spec(""))
    (results / "items.jsonl").write_text("harmed")
    assert command.run("collect", "merged").code == 0
    assert len(rows(results / "items.jsonl")) == 4


def test_column_that_is_not_there_is_told(command: Command) -> None:
    """The batch's items are on disk all the same; the exit code says that results are not."""
    command.write("s.toml", spec('partition_by = ["country"]'))
    done = command.run("run", "s.toml")
    assert (done.code, "results could not be merged" in done.err) == (1, True), done.err
    assert not list((command.folder / "output" / "merged" / "latest").glob("results*"))


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("new_only = true", "results.new_only: needs unique"),
        ("csv_safe = true", 'results.csv_safe: goes with format = "csv" only'),
        ('fromat = "csv"', "results.fromat: unknown field 'fromat'; did you mean 'format'?"),
    ],
)
def test_mistakes_in_results_are_told(command: Command, results: str, message: str) -> None:
    """Before anything starts."""
    command.write("s.toml", spec(results))
    done = command.run("validate", "s.toml")
    assert (done.code, message in done.err) == (2, True), done.err
