from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep

ACTOR = "/acts/orchestrator~simulated/runs"


def test_runs_that_someone_else_started_become_a_batch(
    command: Command, platform: ServedPlatform
) -> None:
    """They are collected, merged and reported; nothing is started."""
    runs = [platform.post(ACTOR, {"duration_secs": 0.01, "items": n})["id"] for n in (2, 3)]
    done = command.run("collect", "--runs", *runs, "--name", "theirs", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"], done.json["items"]) == (0, 2, 5), done.err
    folder = Path(done.json["folder"])
    assert {path.name for path in (folder / "jobs").iterdir()} == set(runs)
    listed = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert [(job["run_id"], job["items"]) for job in listed] == list(zip(runs, (2, 3), strict=True))
    assert command.run("verify", "theirs").code == 0
    done = command.run("export", "theirs", "--format", "csv", "--to", "-")
    assert len(done.out.splitlines()) == 6
    assert command.run("collect", "theirs").code == 0
    assert command.run("status", "theirs").code == 0


def test_addresses_of_runs_and_tasks_name_them(command: Command, platform: ServedPlatform) -> None:
    """What people copy from the Console or the API is as good as an id."""
    task = platform.post("/actor-tasks", {"actId": "orchestrator~simulated", "name": "linked"})[
        "id"
    ]
    given = {"duration_secs": 0.01, "items": 1}
    runs = [platform.post(f"/actor-tasks/{task}/runs", given)["id"] for _ in range(3)]
    addresses = (
        f"https://console.apify.com/view/runs/{runs[0]}",
        f"https://console.apify.com/organization/x1/actors/tasks/{task}/runs/{runs[1]}#log",
        f"https://api.apify.com/v2/actor-runs/{runs[2]}?format=json",
    )
    done = command.run("collect", "--runs", *addresses, "--name", "linked", "--json")
    assert done.code == 0, done.err
    assert {path.name for path in (Path(done.json["folder"]) / "jobs").iterdir()} == set(runs)
    assert command.run("import", addresses[1]).out == command.run("import", runs[1]).out
    page = f"https://console.apify.com/actors/tasks/{task}/input"
    done = command.run("collect", "--task", page, "--last", "24h", "--name", "linked", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 3), done.err
    for words in (("import", page), ("collect", "--runs", page, "--name", "linked")):
        done = command.run(*words)
        assert (done.code, "expected the id or address of a run" in done.err) == (2, True)


def test_live_run_is_followed_to_its_end(command: Command, platform: ServedPlatform) -> None:
    """Its items are whole then; a run that failed is a failed job."""
    runs = [
        platform.post(ACTOR, {"duration_secs": 1.0, "items": 2})["id"],
        platform.post(ACTOR, {"duration_secs": 0.01, "items": 1, "outcome": "FAILED"})["id"],
    ]
    done = command.run("collect", "--runs", *runs, "--name", "theirs", "--json")
    assert done.code == 1, done.err
    assert (done.json["jobs"]["SUCCEEDED"], done.json["jobs"]["FAILED"]) == (1, 1)
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert "orchestrator retry" not in done.err + command.run("status", "theirs").out + page
    retried = command.run("retry", "theirs")
    assert (retried.code, "started by another program" in retried.err) == (2, True)


def test_runs_of_a_task_become_a_batch(command: Command, platform: ServedPlatform) -> None:
    """It has the runs that began lately, the oldest first."""
    task = platform.post("/actor-tasks", {"actId": "orchestrator~simulated", "name": "nightly"})
    given = {"duration_secs": 0.01, "items": 1}
    runs = [platform.post(f"/actor-tasks/{task['id']}/runs", given)["id"] for _ in range(3)]
    words = ("collect", "--task", task["id"], "--last", "24h", "--name", "theirs", "--json")
    done = command.run(*words)
    assert done.code == 0, done.err
    listing = Path(done.json["folder"]) / "jobs.jsonl"
    assert [json.loads(line)["run_id"] for line in listing.read_text().splitlines()] == runs
    done = command.run("collect", "--task", task["id"], "--last", "0.001s", "--name", "theirs")
    assert (done.code, "no run began" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--runs", "nothing1", "--name", "x"), "run nothing1"),
        (("--runs", "", "--name", "x"), "run : an empty name or id cannot be looked up"),
        (("--runs", "..", "--name", "x"), "run ..: the name or id '..' cannot be part of"),
        (("--task", "me/nothing", "--last", "1d", "--name", "x"), "task me/nothing"),
        (("--runs", "a"), "--name N"),
        (("--task", "a", "--name", "x"), "--last AGE"),
        (("--runs", "a", "--name", "../x"), "is not valid as a folder"),
        (("--task", "a", "--last", "soon", "--name", "x"), "expected an age"),
        ((), "give a batch"),
    ],
)
def test_runs_that_cannot_be_collected_are_an_error(
    command: Command, platform: ServedPlatform, words: tuple[str, ...], message: str
) -> None:
    """No batch is created."""
    done = command.run("collect", *words)
    assert (done.code, message in done.err) == (2, True), done.err
    assert not list((command.folder / "output").glob("*/*"))


def test_collected_runs_cannot_have_the_name_of_a_spec(
    command: Command, platform: ServedPlatform
) -> None:
    """A name that a spec uses is refused, so that neither counts as the other."""
    command.write("s.toml", sweep("ours", 1, duration_secs=0))
    assert command.run("run", "s.toml").code == 0
    run = platform.post(ACTOR, {"duration_secs": 0.01})["id"]
    done = command.run("collect", "--runs", run, "--name", "ours")
    assert (done.code, "choose another --name" in done.err) == (2, True), done.err


def test_batch_of_collected_runs_does_not_replace_one_of_a_spec(
    command: Command, platform: ServedPlatform
) -> None:
    """A spec of the same name runs, for any occurrence of the collected runs."""
    run = platform.post(ACTOR, {"duration_secs": 0.01})["id"]
    assert command.run("collect", "--runs", run, "--name", "ours").code == 0
    command.write("s.toml", sweep("ours", 1, duration_secs=0))
    before = len(platform.runs())
    assert command.run("run", "s.toml", "--resume").code == 0
    assert len(platform.runs()) == before + 1
