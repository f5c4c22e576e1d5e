from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep


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
    """The job, its run and its parameters are columns; a file beside it has their names."""
    results = merge(command, spec('format = "jsonl"'))
    assert {path.name for path in results.iterdir()} == {"items.jsonl", "columns.json"}
    found = rows(results / "items.jsonl")
    assert [(row["_job"], row["n"], row["index"]) for row in found] == [
        ("job-1", 1, 0), ("job-1", 1, 1), ("job-2", 2, 0), ("job-2", 2, 1),
    ]  # fmt: skip
    assert all(row["_run"] for row in found)
    assert found[0]["deep"] == {"a": [1]}


def test_parquet_is_partitioned_by_a_parameter(command: Command) -> None:
    """There is a folder for each value, as readers of Parquet expect."""
    parquet = pytest.importorskip("pyarrow.parquet")
    results = merge(command, spec('format = "parquet"\npartition_by = "n"'))
    folders = {path.name for path in results.iterdir() if path.is_dir()}
    assert folders == {"n=1", "n=2"}
    found = [parquet.read_table(results / name, partitioning="hive") for name in folders]
    assert [table.num_rows for table in found] == [2, 2]


def test_duplicates_and_old_items_are_dropped(command: Command) -> None:
    """The key fields identify items, within a batch and in all earlier ones."""
    unique = 'unique = ["index", "k"]'
    results = merge(command, spec(unique, item="{ k = 7 }"))
    assert len(rows(results / "items.jsonl")) == 2
    text = spec(f"{unique}\nnew_only = true", jobs=3, item='{ k = "{{ 8 if n == 3 else 7 }}" }')
    results = merge(command, text)
    found = rows(results / "items.jsonl")
    assert [(row["_job"], row["k"]) for row in found] == [("job-3", 8)] * 2
    assert command.run("collect", "merged").code == 0
    assert rows(results / "items.jsonl") == found


def test_new_items_are_recognised_after_pruning_and_failures(command: Command) -> None:
    """An item appears once in a series, even if a batch lacks it or old ones are removed."""
    text = spec('unique = "index"\nnew_only = true')
    assert len(rows(merge(command, text) / "items.jsonl")) == 2
    assert rows(merge(command, text.replace("items = 2", "items = 0")) / "items.jsonl") == []
    assert command.run("prune", "merged", "--keep-last", "1").code == 0
    assert rows(merge(command, text) / "items.jsonl") == []


def test_new_items_are_recognised_after_all_batches_are_removed(command: Command) -> None:
    """A batch after an empty folder has a higher number than the batches whose keys are known."""
    text = spec('unique = "index"\nnew_only = true')
    assert len(rows(merge(command, text) / "items.jsonl")) == 2
    assert command.run("prune", "merged", "--keep-days", "0").code == 0
    assert command.run("list", "--json").json["batches"] == []
    assert rows(merge(command, text) / "items.jsonl") == []


def test_items_that_a_killed_retry_has_collected_are_known(command: Command) -> None:
    """They count as seen, though the process died before it merged them."""
    text = spec('unique = "index"\nnew_only = true')
    folder = merge(command, text).parent
    for path, change in {
        folder / "ledger.sqlite": "UPDATE batch SET completed_at = NULL",
        next(folder.parent.glob(".seen/*/keys.sqlite")): "DELETE FROM keys",
    }.items():
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(change)
    assert rows(merge(command, text) / "items.jsonl") == []


def test_keys_of_an_earlier_version_are_made_again(command: Command) -> None:
    """An upgrade that identifies items in another way makes no old item new."""
    text = spec('unique = "deep"\nnew_only = true', item="{ deep = { a = [1] } }")
    folder = merge(command, text).parent
    with closing(sqlite3.connect(next(folder.parent.glob(".seen/*/keys.sqlite")))) as db, db:
        db.execute("""UPDATE batches SET fields = '["deep"]'""")
        db.execute("UPDATE keys SET key = randomblob(16)")
    assert rows(merge(command, text) / "items.jsonl") == []


def test_batch_without_items_has_empty_results(command: Command) -> None:
    """No items are not an error."""
    results = merge(command, spec("").replace("items = 2", "items = 0"))
    assert (results / "items.jsonl").read_text() == ""


def test_collect_builds_the_results_again(command: Command) -> None:
    """The folder is built from the files on disk, complete each time."""
    results = merge(command, spec(""))
    (results / "items.jsonl").write_text("harmed")
    assert command.run("collect", "merged").code == 0
    assert len(rows(results / "items.jsonl")) == 4


def test_missing_column_is_a_warning(command: Command) -> None:
    """All rows are kept, because the runs are paid."""
    command.write("s.toml", spec('partition_by = ["country"]\nunique = ["ulr"]'))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    assert "country" in done.err
    assert len(rows(Path(done.json["folder"]) / "results" / "items.jsonl")) == 4


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("new_only = true", "results.new_only: needs unique"),
        ("csv_safe = true", 'results.csv_safe: goes with format = "csv" only'),
        ('fromat = "csv"', "results.fromat: unknown field 'fromat'; did you mean 'format'?"),
        ('types = { at = "timestmap" }', "results.types"),
    ],
)
def test_mistakes_in_results_are_errors(command: Command, results: str, message: str) -> None:
    """They are errors before any start."""
    command.write("s.toml", spec(results))
    done = command.run("validate", "s.toml")
    assert (done.code, message in done.err) == (2, True), done.err
