from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.command import Command, ServedPlatform, sweep, wait_until


def rows(done: Any) -> dict[str, dict[str, Any]]:
    lines = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def spec(jobs: int, reuse: str = "24h") -> str:
    text = sweep("r", jobs, job=f'reuse = "{reuse}"', duration_secs=0.01, items=2, n="N")
    return text.replace('"N"', '"{{ n }}"')


def test_only_new_cells_of_a_sweep_run(command: Command) -> None:
    """Results of an earlier batch are reused, marked, complete and without cost."""
    command.write("s.toml", spec(2))
    first = command.run("run", "s.toml", "--json")
    command.write("s.toml", spec(3))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["runs"], done.json["reused"], done.json["items"]) == (0, 1, 2, 6)
    taken, before = rows(done)["job-1"], rows(first)["job-1"]
    assert (taken["run_id"], taken["reused_from"]) == (before["run_id"], first.json["id"])
    assert (taken["status"], taken["cost_usd"]) == ("SUCCEEDED", None)
    assert command.run("verify", "r").code == 0
    again = command.run("run", "s.toml", "--json")
    assert (again.json["runs"], rows(again)["job-1"]["reused_from"]) == (0, first.json["id"])


def test_resumed_batch_does_not_count_the_costs_of_reused_runs(
    command: Command, platform: ServedPlatform
) -> None:
    """What an earlier batch has paid is no cost of a later one, also after its resume."""
    command.write("s.toml", spec(2).replace("input = { ", "input = { cost_usd = 0.5, "))
    assert command.run("run", "s.toml", "--json").json["cost_usd"] == 1
    longer = spec(3).replace("input = { ", "input = { cost_usd = 0.5, ")
    # The input of the others does not change, or they would not be reused.
    longer = longer.replace("= 0.01", '= "{{ 2 if n == 3 else 0.01 }}"')
    command.write("s.toml", longer)
    before = len(platform.runs())
    process = command.start("run", "s.toml")
    wait_until(lambda: len(platform.runs()) > before, "the run of the new job")
    process.terminate()
    process.communicate()
    assert process.code == 143
    done = command.run("resume", "r", "--json")
    assert (done.code, done.json["reused"], done.json["cost_usd"]) == (0, 2, 0.5)
    assert {key: row["cost_usd"] for key, row in rows(done).items()} == {
        "job-1": None, "job-2": None, "job-3": 0.5,
    }  # fmt: skip


def test_batch_that_ended_late_is_reused(command: Command) -> None:
    """A newer batch that ended long ago does not hide an older one that was resumed since."""
    command.write("s.toml", spec(2))
    first = command.run("run", "s.toml", "--json").json["id"]
    command.write("s.toml", spec(2).replace("items = 2", "items = 3"))
    newer = Path(command.run("run", "s.toml", "--json").json["folder"])
    with closing(sqlite3.connect(newer / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET ended_at = '2020-01-01T00:00:00.000000Z'")
    command.write("s.toml", spec(2))
    done = command.run("run", "s.toml", "--json")
    assert {row["reused_from"] for row in rows(done).values()} == {first}


def test_force_runs_everything(command: Command) -> None:
    """`--force` starts all jobs."""
    command.write("s.toml", spec(2))
    command.run("run", "s.toml")
    done = command.run("run", "s.toml", "--force", "--json")
    assert (done.json["runs"], done.json["reused"]) == (2, 0)


def test_old_different_or_damaged_results_are_not_reused(command: Command) -> None:
    """Age, input, options and changed files exclude them."""
    command.write("s.toml", spec(3))
    first = command.run("run", "s.toml", "--json")
    folder = Path(first.json["folder"]) / "jobs"
    (folder / "job-1" / "items.jsonl").write_text("{}\n")
    text = spec(3).replace("items = 2", 'items = "{{ 5 if n == 2 else 2 }}"')
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert {key: bool(row["reused_from"]) for key, row in rows(done).items()} == {
        "job-1": False, "job-2": False, "job-3": True,
    }  # fmt: skip
    command.write("s.toml", spec(3, "0.001s"))
    assert command.run("run", "s.toml", "--json").json["reused"] == 0


def test_earlier_batch_may_be_pruned_meanwhile(command: Command) -> None:
    """What was copied before is reused; the other jobs run."""
    command.write("s.toml", spec(3))
    command.run("run", "s.toml")
    pruned = replace(command, program="tests.support.disturbed_copies:main_pruned")
    done = pruned.run("run", "s.toml", "--json")
    assert (done.code, done.json["reused"], done.json["runs"]) == (0, 1, 2), done.err
    assert "history not read" in done.err
    assert command.run("verify", "r").code == 0
