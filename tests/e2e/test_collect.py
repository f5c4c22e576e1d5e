"""`orchestrator collect`: it downloads what is missing on disk."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import (
    HURRIED,
    Command,
    ServedPlatform,
    served_platform,
    sweep,
)


def batch_of(command: Command) -> Path:
    """Runs a batch of three jobs to its end and returns its folder."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0, items=5, output=True))
    done = command.run("run", "sweep.toml", "--json")
    assert done.code == 0, done.err
    return Path(done.json["folder"])


def test_missing_and_damaged_files_are_downloaded_again(
    command: Command, platform: ServedPlatform
) -> None:
    """Missing and changed files are restored, whole files stay, and nothing starts."""
    folder = batch_of(command)
    whole = {path: path.read_bytes() for path in folder.glob("jobs/*/items.jsonl")}
    untouched = folder / "jobs" / "job-3" / "items.jsonl"
    kept = untouched.stat()
    shutil.rmtree(folder / "jobs" / "job-1")
    damaged = folder / "jobs" / "job-2" / "items.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b"0", b"1"))
    runs = len(platform.runs())
    done = command.run("collect", "sweep", "--json")
    assert (done.code, done.json["fetched"]) == (0, ["job-1", "job-2"])
    assert {path: path.read_bytes() for path in whole} == whole
    assert (folder / "jobs" / "job-1" / "run.json").is_file()
    assert untouched.stat().st_mtime_ns == kept.st_mtime_ns
    assert len(platform.runs()) == runs


def test_only_selected_jobs_are_checked(command: Command) -> None:
    """`--select` ignores the gaps of all other jobs."""
    folder = batch_of(command)
    shutil.rmtree(folder / "jobs")
    done = command.run("collect", "sweep", "--select", "name:job-2", "--json")
    assert done.json["fetched"] == ["job-2"]
    assert [path.name for path in (folder / "jobs").iterdir()] == ["job-2"]


@pytest.mark.parametrize("name", ["collect", "verify", "report"])
def test_selection_of_no_job_is_refused(command: Command, name: str) -> None:
    """A misspelt name must not pass for a check; that no job has a status is no mistake."""
    batch_of(command)
    done = command.run(name, "sweep", "--select", "name:jbo-1,status:SUCCEEDED")
    assert (done.code, "is selected by --select 'name:jbo-1,status" in done.err) == (2, True)
    assert command.run(name, "sweep", "--select", "name:job-1,status:FAILED").code == 0


def test_deleted_dataset_is_an_error(command: Command, platform: ServedPlatform) -> None:
    """What is gone is named, with exit code 1; the other jobs are completed."""
    folder = batch_of(command)
    rows = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    platform.delete(f"/datasets/{rows[0]['dataset_id']}")
    shutil.rmtree(folder / "jobs")
    hurried = replace(command, program=HURRIED)
    done = hurried.run("collect", "sweep", "--json")
    assert (done.code, done.json["fetched"]) == (1, ["job-2", "job-3"])
    assert [gap["key"] for gap in done.json["lacking"]] == ["job-1"]
    assert "cannot download: job-1: " in done.err
    assert done.json["jobs"]["SUCCEEDED"] == 3


def lose_items(folder: Path) -> None:
    """Makes the first job one whose items could not be downloaded."""
    import sqlite3

    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("UPDATE jobs SET status = 'FAILED', error = 'not to be had' WHERE seq = 0")
        db.execute("UPDATE attempts SET items = NULL, sha256 = NULL WHERE job_seq = 0")
        db.execute("UPDATE batch SET exit_code = 1")
    db.close()
    (folder / "jobs" / "job-1" / "items.jsonl").unlink()


def test_late_download_of_a_dataset_changes_its_job_to_succeeded(command: Command) -> None:
    """A job that failed because its items were missing succeeds when they are on disk."""
    folder = batch_of(command)
    lose_items(folder)
    done = command.run("collect", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"], done.json["exit_code"]) == (0, 3, 0)
    row = json.loads((folder / "jobs.jsonl").read_text().splitlines()[0])
    assert (row["status"], row["items"], row["error"]) == ("SUCCEEDED", 5, None)


def test_collection_that_ends_early_reports_what_it_has_downloaded(tmp_path: Path) -> None:
    """If the token is refused for the second job, the summary and the files show the first one."""
    with served_platform(tmp_path / "platform") as platform:
        folder = batch_of(Command(folder=tmp_path, variables=platform.variables()))
    lose_items(folder)
    (folder / "jobs" / "job-2" / "items.jsonl").unlink()
    second = json.loads((folder / "jobs.jsonl").read_text().splitlines()[1])["dataset_id"]
    rule = {"do": "refuse", "path": f"/datasets/{second}", "status": 401, "type": "invalid-token"}
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"rules": [rule]}))
    with served_platform(tmp_path / "platform", "--faults", str(faults)) as platform:
        variables = {**platform.variables(), "ORCHESTRATOR_MAX_DOWNLOADS": "1"}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        done = command.run("collect", "sweep", "--json")
    assert (done.code, done.json["fetched"]) == (5, ["job-1"]), done.err
    assert done.json["jobs"]["SUCCEEDED"] == 3
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["jobs"]["SUCCEEDED"], summary["items"]) == (3, 15)


def test_live_jobs_are_left_to_resume(command: Command) -> None:
    """`collect` waits for no run: it says how many are live, and how to resume them."""
    import os
    import signal

    from tests.support.command import wait_until

    command.write("sweep.toml", sweep(jobs=2, duration_secs=3, items=1))
    process = command.start("run", "sweep.toml")
    folder = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: '"run_started"' in _text(folder / "log.jsonl"), "a run")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = command.run("collect", "sweep", "--json")
    assert done.code == 1
    assert done.json["under_way"] >= 1
    assert "orchestrator resume" in done.err
    assert command.run("resume", "sweep", "--json").json["jobs"]["SUCCEEDED"] == 2


def test_jobs_that_a_budget_left_out_are_left_to_resume(command: Command) -> None:
    """`collect` ends with 1 and says why, though all runs are on disk."""
    job = "max_total_charge_usd = 0.5"
    text = sweep(jobs=2, batch="max_cost_usd = 0.5", job=job, duration_secs=0, cost_usd=0.5)
    command.write("sweep.toml", text)
    assert command.run("run", "sweep.toml").code == 3
    done = command.run("collect", "sweep")
    assert (done.code, "is not whole: orchestrator resume output/sweep/" in done.err) == (1, True)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
