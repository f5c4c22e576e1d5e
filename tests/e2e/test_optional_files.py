"""`collect = { run = false, input = false }`: one small file for each job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.command import Command, ServedPlatform, sweep

JOB = "collect = { run = false, input = false }"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "jobs")) for path in folder.glob("jobs/*/*"))


def test_run_and_input_can_stay_in_the_ledger(command: Command) -> None:
    """A job is only its items, `verify` finds no gap, and no further request is sent."""
    command.write("s.toml", sweep("small", 2, job=JOB, duration_secs=0.1, items=3))
    done = command.run("run", "s.toml", "--json")
    folder = Path(done.json["folder"])
    assert (done.code, files(folder)) == (0, ["job-1/items.jsonl", "job-2/items.jsonl"])
    assert command.run("verify", "small").code == 0
    assert command.run("collect", "small", "--json").json["fetched"] == []


def test_run_and_input_can_be_written_later(command: Command, platform: ServedPlatform) -> None:
    """The ledger has them: the run as the platform sent it, and the input as it was sent."""
    command.write("s.toml", sweep("later", 2, job=JOB, duration_secs=0.1, items=3))
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    done = command.run("collect", "later", "--run-json", "--input-json", "--json")
    assert (done.code, done.json["fetched"]) == (0, ["job-1", "job-2"])
    run = json.loads((folder / "jobs/job-1/run.json").read_bytes())
    reported = platform.get(f"/actor-runs/{run['id']}")
    assert {name: run[name] for name in ("id", "status", "finishedAt", "defaultDatasetId")} == {
        name: reported[name] for name in ("id", "status", "finishedAt", "defaultDatasetId")
    }
    given = json.loads((folder / "jobs/job-1/input.json").read_bytes())
    assert given == {"duration_secs": 0.1, "items": 3}
    shutil.rmtree(folder / "jobs" / "job-2")
    done = command.run("collect", "later", "--run-json", "--json")
    assert done.json["fetched"] == ["job-2"]
    assert sorted(path.name for path in (folder / "jobs/job-2").iterdir()) == [
        "items.jsonl",
        "run.json",
    ]


def test_sweep_without_items_writes_no_files(command: Command) -> None:
    """If nothing is collected, the disk has only the ledger and the reports."""
    job = "collect = { items = false, run = false, input = false }"
    command.write("s.toml", sweep("none", 2, job=job, duration_secs=0.1))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, files(Path(done.json["folder"]))) == (0, [])
    assert done.json["unproven"] == {"its items are not collected": 2}
    assert command.run("verify", "none").code == 0
