from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep

TAGGED = sweep("chosen", 6, job='tags = ["t{{ n }}", "all"]', duration_secs=0.01, items=1)


def keys(done: Any) -> list[str]:
    lines = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    return [json.loads(line)["key"] for line in lines]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--select", "tag:t2 name:job-5"], ["job-2", "job-5"]),
        (["--select", "tag:all,name:job-1"], ["job-1"]),
        (["--exclude", "name:job-[1-4]"], ["job-5", "job-6"]),
        (["--exclude", "tag:t1", "--limit", "2"], ["job-2", "job-3"]),
    ],
)
def test_run_starts_only_the_selected_jobs(
    command: Command, words: list[str], chosen: list[str]
) -> None:
    """The batch has these jobs and no others."""
    command.write("s.toml", TAGGED)
    done = command.run("run", "s.toml", "--json", *words)
    assert (done.code, keys(done)) == (0, chosen)


def test_empty_selection_is_refused(command: Command) -> None:
    """A typing mistake does not give an empty batch that succeeds."""
    command.write("s.toml", TAGGED)
    done = command.run("run", "s.toml", "--select", "tag:none")
    assert (done.code, "no job of the spec is selected by --select 'tag:none'" in done.err) == (
        2,
        True,
    )
    assert not (command.folder / "output").exists()


def test_mistakes_outside_the_selection_are_reported(command: Command) -> None:
    """The whole spec is checked, whatever is selected."""
    command.write("s.toml", TAGGED + '[[jobs]]\nname = "job 7"\nactor = "a/b"\n')
    done = command.run("run", "s.toml", "--limit", "1")
    assert (done.code, "'job 7' is not a valid job key" in done.err) == (2, True)


DAILY = (
    '[batch]\nname = "daily"\n[[jobs]]\nname = "day-{{ date }}"\nactor = "orchestrator/simulated"\n'
    'input = { day = "{{ date }}", duration_secs = 0.01, fail_attempts = "{{ fails }}" }\n'
    "[params]\nfails = 0\n"
)


def test_batch_of_a_day(command: Command) -> None:
    """`--date` sets `{{ date }}`."""
    command.write("s.toml", DAILY)
    done = command.run("run", "s.toml", "--date", "2026-11-03", "--json")
    assert (done.code, keys(done)) == (0, ["day-2026-11-03"])


def test_backfill_runs_the_missing_days(command: Command) -> None:
    """A day that succeeded is skipped; a day that failed is run again."""
    command.write("s.toml", DAILY)
    assert command.run("run", "s.toml", "--date", "2026-11-02").code == 0
    assert command.run("run", "s.toml", "--date", "2026-11-03", "--param", "fails=1").code == 1
    done = command.run("run", "s.toml", "--dates", "2026-11-01..2026-11-03", "--json")
    assert done.code == 0, done.err
    assert "2026-11-02: skipped, because a batch of this day has succeeded" in done.err
    assert len(done.out.splitlines()) == 2
    again = command.run("run", "s.toml", "--dates", "2026-11-01..2026-11-03")
    assert (again.code, again.err.count(": skipped, because")) == (0, 3)


def test_backfill_completes_a_day_that_was_killed_after_its_last_run(command: Command) -> None:
    """Results that a killed process has not merged are merged; the runs are not repeated."""
    command.write("s.toml", DAILY + '[results]\nformat = "jsonl"\n')
    days = ("run", "s.toml", "--dates", "2026-11-02..2026-11-03", "--json")
    first = [json.loads(line)["folder"] for line in command.run(*days).out.splitlines()]
    folder = Path(first[0])
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET completed_at = NULL")
    shutil.rmtree(folder / "results")
    again = command.run(*days)
    assert (again.code, again.err.count(": skipped, because")) == (0, 1), again.err
    (line,) = again.out.splitlines()
    assert (json.loads(line)["folder"], json.loads(line)["runs"]) == (str(folder), 1)
    assert len((folder / "results" / "items.jsonl").read_text().splitlines()) == 10
    assert command.run(*days).err.count(": skipped, because") == 2


def test_backfill_whose_batches_would_not_stay_is_refused(command: Command) -> None:
    """`[retention]` would remove what was just paid for; days that are young enough stay."""
    command.write("s.toml", DAILY + "[retention]\nkeep_last = 2\n")
    done = command.run("run", "s.toml", "--dates", "2026-11-01..2026-11-03")
    assert (done.code, "Raise keep_last" in done.err) == (2, True)
    assert not (command.folder / "output").exists()
    command.write("s.toml", DAILY + "[retention]\nkeep_last = 2\nkeep_days = 7\n")
    assert command.run("run", "s.toml", "--dates", "2026-11-01..2026-11-03").code == 0
    assert len(command.run("list", "--json").json["batches"]) == 3


def test_rows_of_a_batch_that_died_before_its_reports_are_left_out(command: Command) -> None:
    """`except` reads reports, which are written from the ledger where a killed batch lacks them."""
    rows = 'matrix.rows = { file = "x.csv", except = { results = "new", key = "id" } }\n'
    job = 'name = "{{ id }}"\nactor = "orchestrator/simulated"\ninput = { duration_secs = 0 }\n'
    command.write("s.toml", f'[batch]\nname = "new"\n[[jobs]]\n{job}{rows}')
    command.write("x.csv", "id\na\nb\n")
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET completed_at = NULL")
    for name in ("summary.json", "jobs.jsonl"):
        (folder / name).unlink()
    command.write("x.csv", "id\na\nb\nc\n")
    done = command.run("run", "s.toml", "--json")
    assert (done.code, keys(done)) == (0, ["c"]), done.err


@pytest.mark.parametrize("words", [["--date", "today"], ["--dates", "2026-11-03..2026-11-01"]])
def test_invalid_day_is_refused(command: Command, words: list[str]) -> None:
    """The message shows the format."""
    command.write("s.toml", DAILY)
    assert command.run("run", "s.toml", *words).code == 2
