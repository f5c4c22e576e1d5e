from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.support.command import (
    BUSY_SECS,
    Command,
    ServedPlatform,
    start_platform,
    sweep,
    wait_until,
)


def test_interrupted_batch_continues_where_it_stopped(
    command: Command, platform: ServedPlatform
) -> None:
    """A signal ends with 130; resume finishes the batch, and no job has a second run."""
    command.write("sweep.toml", sweep(jobs=8, batch="max_runs = 4", duration_secs=1.0, items=2))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 4, "four runs")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.code == 130
    assert time.monotonic() - began < 10 + BUSY_SECS
    assert "orchestrator resume" in err
    summary = json.loads((latest / "summary.json").read_text())
    assert (summary["state"], summary["exit_code"]) == ("stopped", 130)
    done = command.run("resume", "sweep", "--json")
    assert done.code == 0
    assert done.json["jobs"]["SUCCEEDED"] == 8
    assert len(platform.runs_of(latest)) == 8


def test_items_of_an_interrupted_batch_are_not_taken_for_all(
    command: Command, platform: ServedPlatform
) -> None:
    """A spec that reads the newest batch of a name waits until that one has all its items."""
    item = {"n": "{{ n }}"}
    first = sweep(jobs=2, batch="max_runs = 1", items=1, item=item, duration_secs=0.5)
    command.write("sweep.toml", first)
    text = sweep("next", 1, duration_secs=0)
    column = '{ results = "sweep", column = "n" }'
    command.write("next.toml", text.replace("{ range = [1, 1] }", column))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: (latest / "jobs" / "job-1" / "items.jsonl").exists(), "the first items")
    process.terminate()
    process.communicate()
    refused = command.run("run", "next.toml")
    assert (refused.code, "has not ended" in refused.err) == (2, True)
    assert command.run("resume", "sweep").code == 0
    assert command.run("plan", "next.toml", "--json").json["jobs"] == 2


def test_killed_batch_continues_without_a_second_run(
    command: Command, platform: ServedPlatform
) -> None:
    """After SIGKILL the batch is shown as interrupted, and resume starts nothing twice."""
    command.write("sweep.toml", sweep(jobs=6, batch="max_runs = 3", duration_secs=1.0, items=2))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 3, "three runs")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    status = command.run("status", "sweep", "--json")
    assert (status.json["state"], status.json["is_held"]) == ("open", False)
    done = command.run("run", "sweep.toml", "--resume", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6)
    assert Path(done.json["folder"]).name == latest.resolve().name
    assert len(platform.runs_of(latest)) == 6


def test_requests_of_a_killed_process_are_counted(command: Command) -> None:
    """`status` knows them while the process is live, and the summary adds those of the next one."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=60))

    def requests() -> int:
        found: int = command.run("status", "sweep", "--json").json["requests"]
        return found

    process = command.start("run", "sweep.toml")
    wait_until((command.folder / "output/sweep/latest").exists, "the batch")
    wait_until(lambda: requests() >= 3, "the starts")
    process.kill()
    process.communicate()
    before = requests()
    assert before >= 3
    done = command.run("abort", "sweep", "--json")
    assert done.json["requests"] >= before + 3


def test_second_process_names_the_holder_of_the_batch(command: Command) -> None:
    """There is one process for each batch: another one ends with 4 and names the first."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=3.0, items=1))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until((latest / "log.jsonl").exists, "the first batch")
    done = command.run("resume", "sweep")
    assert done.code == 4
    assert f"process {process.pid}" in done.err
    process.communicate()
    assert process.code == 0


def test_resuming_an_ended_batch_changes_nothing(command: Command) -> None:
    """There is nothing to resume, and the figures say so."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0.01, items=1))
    before = command.run("run", "sweep.toml", "--json").json
    done = command.run("resume", "sweep", "--json")
    assert (done.code, done.json["runs"]) == (0, 2)
    assert done.json == before


def test_signal_ends_within_ten_seconds_when_the_platform_is_silent(tmp_path: Path) -> None:
    """With a thousand open polls and a silent platform, the command ends in time."""
    room = ("--max-runs", "1000", "--max-memory-mbytes", "128000")
    process, platform = start_platform(tmp_path / "platform", *room)
    try:
        command = Command(folder=tmp_path, variables=platform.variables())
        command.write("sweep.toml", sweep(jobs=1000, job="memory_mbytes = 128", duration_secs=3600))
        run = command.start("run", "sweep.toml")
        wait_until(lambda: platform.get("/actor-runs?limit=1")["total"] >= 1000, "open polls")
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        run.communicate()
        assert run.code == 143
        assert time.monotonic() - began < 10 + BUSY_SECS
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()
