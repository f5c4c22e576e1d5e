from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep


@pytest.fixture
def batch(command: Command) -> Path:
    """A batch without `[results]`: two jobs with two items each."""
    command.write("s.toml", sweep("plain", 2, duration_secs=0.01, items=2))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    return Path(done.json["folder"])


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_export_writes_a_table_without_results_in_the_spec(command: Command, batch: Path) -> None:
    """It is in the folder of the batch, and its path is printed."""
    done = command.run("export", "plain", "--format", "jsonl")
    assert done.code == 0, done.err
    assert (command.folder / done.out.strip()).samefile(batch / "export" / "items.jsonl")
    found = rows((batch / "export" / "items.jsonl").read_text())
    assert [(row["_job"], row["index"]) for row in found] == [
        ("job-1", 0), ("job-1", 1), ("job-2", 0), ("job-2", 1),
    ]  # fmt: skip
    assert (batch / "export" / "items.jsonl.columns.json").is_file()


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_export_writes_the_named_file(command: Command, batch: Path, format_: str) -> None:
    """The names of its columns are beside it, and nothing else."""
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    done = command.run("export", str(batch), "--format", format_, "--to", "here/t", "--json")
    assert (done.code, done.json["rows"]) == (0, 4), done.err
    names = {path.name for path in (command.folder / "here").iterdir()}
    assert names == {"t", "t.columns.json"}


def test_export_writes_to_standard_output(command: Command, batch: Path) -> None:
    """Standard output has only the table."""
    done = command.run("export", "plain", "--format", "csv", "--to", "-")
    assert (done.code, len(done.out.splitlines())) == (0, 5), done.err
    assert done.out.startswith("_job,_run,n,index\n")
    assert not (batch / "export").exists()


def test_export_joins_several_batches(command: Command) -> None:
    """It takes those from a day on, the oldest first, with the occurrence as a column."""
    command.write("s.toml", sweep("plain", 1, duration_secs=0.01, items=1))
    for day in ("2026-11-03", "2026-11-01", "2026-11-02"):
        assert command.run("run", "s.toml", "--date", day).code == 0
    done = command.run("export", "plain", "--format", "jsonl", "--since", "2026-11-02", "--to=-")
    assert done.code == 0, done.err
    found = rows(done.out)
    assert len({row["_batch"] for row in found}) == len(found) == 2
    assert all(row["_occurrence"].endswith("Z") for row in found)
    days = [row["_batch"] for row in found]
    assert days == sorted(days, reverse=True)


def test_export_names_missing_jobs(command: Command) -> None:
    """It names the jobs that did not succeed; the table has the others."""
    text = sweep("plain", 2, duration_secs=0.01, items=1)
    text = text.replace(
        "items = 1", "items = 1, outcome = \"{{ 'FAILED' if n == 2 else 'SUCCEEDED' }}\""
    )
    command.write("s.toml", text)
    assert command.run("run", "s.toml").code == 1
    done = command.run("export", "plain", "--format", "jsonl", "--to", "-")
    assert (done.code, [row["_job"] for row in rows(done.out)]) == (0, ["job-1"]), done.err
    assert "without the items of 1 job that has not succeeded" in done.err


def test_export_of_an_unknown_day_or_batch_is_an_error(command: Command, batch: Path) -> None:
    """Nothing is written."""
    done = command.run("export", "plain", "--format", "csv", "--since", "2999-01-01")
    assert (done.code, "no batch of plain is for 2999-01-01 or a later day" in done.err) == (
        2,
        True,
    )
    assert command.run("export", "nothing", "--format", "csv").code == 2
    done = command.run("export", "plain", "--format", "csv", "--to", str(batch))
    assert (done.code, "is a folder: name a file" in done.err) == (2, True)


def test_export_to_a_pipe_is_refused(command: Command, batch: Path) -> None:
    """The pipe stays: a file in its place would leave its reader waiting."""
    pipe = batch / "pipe"
    os.mkfifo(pipe)
    done = command.run("export", "plain", "--format", "csv", "--to", str(pipe))
    assert (done.code, "is a pipe or a device" in done.err) == (2, True), done.err
    assert pipe.is_fifo()


OWN_FILE = "{folder}/ledger.sqlite"


@pytest.mark.parametrize(
    "words",
    [
        ("export", "plain", "--format", "csv", "--to", OWN_FILE),
        ("export", "plain", "--format", "csv", "--to", "{folder}/../latest/export/../jobs.jsonl"),
        ("export", "plain", "--format", "csv", "--to", "link"),
        ("schema", "--write", OWN_FILE),
        ("run", "other.toml", "--metrics-file", OWN_FILE),
    ],
)
def test_files_of_a_batch_are_not_overwritten(
    command: Command, batch: Path, words: tuple[str, ...]
) -> None:
    """An option that names a file to write never costs a batch; `export/` is free for tables."""
    command.write("other.toml", sweep("other", jobs=1, items=1))
    link = command.folder / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(batch / "summary.json")
    done = command.run(*(word.format(folder=batch) for word in words))
    assert (done.code, "is in the folder of a batch" in done.err) == (2, True), done.err
    assert not (command.folder / "output" / "other").exists()
    table = batch / "export" / "mine.csv"
    assert command.run("export", "plain", "--format", "csv", "--to", table).code == 0
    assert command.run("verify", "plain").code == 0


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_export_to_a_store_is_refused(command: Command, batch: Path, format_: str) -> None:
    """A URL is no folder named `s3:` on this machine, in which nobody would look."""
    done = command.run("export", "plain", "--format", format_, "--to", "s3://bkt/table")
    assert done.code == 2
    assert "--to s3://bkt/table is no file of this machine" in done.err
    assert not (command.folder / "s3:").exists()


def test_run_names_the_table(command: Command) -> None:
    """The last lines have its path, or how to make it."""
    text = sweep("merged", 1, duration_secs=0.01, items=2)
    command.write("s.toml", text + "[results]\n")
    done = command.run("run", "s.toml")
    assert "results/items.jsonl (2 rows)" in done.out
    command.write("s.toml", text)
    done = command.run("run", "s.toml")
    assert "one table: orchestrator export output/merged/" in done.out


def test_export_says_how_to_write_to_standard_output(command: Command, batch: Path) -> None:
    """`--output` is the folder of the batches, as for every command."""
    done = command.run("export", "plain", "--format", "csv", "--output", "-")
    assert (done.code, "--to -" in done.err) == (2, True), done.err


def test_export_names_items_that_it_cannot_hold(command: Command, batch: Path) -> None:
    """It names job and line, and the file that has them; the others are in the table."""
    (batch / "jobs" / "job-1" / "items.jsonl").write_text('{"a":\n{"a":1}\n')
    done = command.run("export", "plain", "--format", "jsonl", "--to", "t.jsonl")
    assert (done.code, "job-1, line 1" in done.err) == (0, True), done.err
    assert len(rows((command.folder / "t.jsonl").read_text())) == 3
    (reject,) = rows((command.folder / "t.jsonl.rejects.jsonl").read_text())
    assert (reject["job"], reject["line"], reject["text"]) == ("job-1", 1, '{"a":')
