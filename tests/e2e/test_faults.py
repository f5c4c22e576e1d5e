from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep

Faulty = Callable[..., tuple[Command, ServedPlatform]]
START = {"method": "POST", "path": "/runs$"}


@pytest.mark.parametrize("kind", ["reset-after", "truncated", "slow-headers"])
def test_run_whose_answer_was_lost_is_adopted(faulty: Faulty, kind: str) -> None:
    """Starts that took effect without an answer are found; none is started twice."""
    command, platform = faulty(
        {**START, "do": kind, "rate": 0.4, "secs": 6}, seed=3, list_lag_secs=0.5
    )
    command.write("sweep.toml", sweep(jobs=12, duration_secs=0.2, items=3))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 12)
    assert done.json["adopted"] > 0
    assert len(platform.runs()) == 12


def test_run_that_is_listed_too_late_is_aborted_and_reported(faulty: Faulty) -> None:
    """If a list lags longer than `settle_secs`, a second send follows; the first run is aborted."""
    command, platform = faulty({**START, "do": "reset-after", "nth": [1]}, list_lag_secs=9)
    command.write("sweep.toml", sweep(jobs=1, duration_secs=14, items=2))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 1)
    (orphan,) = done.json["stray_runs"]
    assert f"orphan run {orphan['run_id']}: it belongs to no attempt" in done.err
    statuses = {run["id"]: run["status"] for run in platform.runs()}
    assert statuses.pop(orphan["run_id"]) in {"ABORTING", "ABORTED", "SUCCEEDED"}
    assert list(statuses.values()) == ["SUCCEEDED"]


@pytest.mark.parametrize("kind", ["error-before", "html"])
def test_start_without_effect_is_sent_again(faulty: Faulty, kind: str) -> None:
    """A start that failed before its effect is sent again if no run is found."""
    command, platform = faulty({**START, "do": kind, "rate": 0.4}, seed=5)
    command.write("sweep.toml", sweep(jobs=6, duration_secs=0.1, items=1))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6)
    assert len(platform.runs()) == 6


def test_refusals_by_rate_cost_no_run(faulty: Faulty) -> None:
    """After a 429, starts and reads are sent again."""
    command, platform = faulty({"do": "rate-limited", "rate": 0.2}, seed=1)
    command.write("sweep.toml", sweep(jobs=6, duration_secs=0.1, items=1))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, len(platform.runs())) == (0, 6)


@pytest.mark.parametrize("kind", ["truncated", "reset-after", "bad-gzip"])
def test_broken_downloads_are_completed(faulty: Faulty, kind: str) -> None:
    """Every item is on disk once, however often its download broke."""
    command, _ = faulty({"method": "GET", "path": "/items$", "do": kind, "rate": 0.5}, seed=2)
    command.write("sweep.toml", sweep(jobs=6, duration_secs=0.05, items=500))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 3000)
    for number in range(1, 7):
        path = Path(done.json["folder"]) / "jobs" / f"job-{number}" / "items.jsonl"
        items = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(items) == 500
        assert items == sorted(items, key=lambda item: item["index"])


def test_platform_without_room_is_waited_for(tmp_path: Path) -> None:
    """Refusals for lack of room use up no attempt; the jobs wait and all end."""
    from tests.e2e.conftest import QUICK
    from tests.support.command import served_platform

    with served_platform(tmp_path / "platform", "--max-runs", "2") as platform:
        command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
        command.write("a.toml", sweep("a", jobs=3, duration_secs=0.5, items=1))
        command.write("b.toml", sweep("b", jobs=3, duration_secs=0.5, items=1))
        other = command.start("run", "a.toml")
        done = command.run("run", "b.toml", "--json")
        other.communicate()
        assert (done.code, other.code) == (0, 0)
        assert done.json["attempts"] == 3
        assert len(platform.runs()) == 6


SYNC = 'mode = "sync"\nmemory_mbytes = 128'


def test_sync_jobs_cost_one_start_and_few_lists(command: Command, platform: ServedPlatform) -> None:
    """A short job is one synchronous request, and one list finds the runs of many."""
    command.write(
        "sweep.toml", sweep(jobs=20, job=SYNC, duration_secs=0.1, items=2, output={"ok": True})
    )
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["items"], done.json["runs"]) == (0, 40, 20)
    assert done.json["requests"] <= 20 * 3 + 6
    job = Path(done.json["folder"]) / "jobs" / "job-7"
    assert json.loads((job / "output.json").read_text()) == {"ok": True}


def test_sync_job_that_takes_longer_than_its_request_is_followed(tmp_path: Path) -> None:
    """A 408 is not the end of the run: it is found and followed, and started once."""
    from tests.e2e.conftest import QUICK
    from tests.support.command import served_platform

    with served_platform(tmp_path / "platform", "--sync-wait-secs", "1") as platform:
        command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
        command.write("sweep.toml", sweep(jobs=2, job=SYNC, duration_secs=2.5, items=2, output=1))
        done = command.run("run", "sweep.toml", "--json")
        assert (done.code, done.json["items"]) == (0, 4)
        assert len(platform.runs()) == 2
        assert (Path(done.json["folder"]) / "jobs" / "job-1" / "output.json").read_text() == "1"


def test_sync_job_whose_connection_drops_is_found(faulty: Faulty) -> None:
    """A dropped connection starts nothing twice, and the results are collected."""
    command, platform = faulty({"path": "/run-sync", "do": "reset-after", "rate": 0.5}, seed=4)
    command.write("sweep.toml", sweep(jobs=6, job=SYNC, duration_secs=0.2, items=2, output=1))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 12)
    assert len(platform.runs()) == 6


def test_failed_sync_run_gives_its_reason(command: Command) -> None:
    """A failed run gives the job its id, status and message, and its items are on disk."""
    command.write(
        "sweep.toml",
        sweep(jobs=1, job=SYNC, duration_secs=0.1, items=2, outcome="FAILED", status_message="no"),
    )
    done = command.run("run", "sweep.toml", "--json")
    assert done.code == 1
    folder = Path(done.json["folder"])
    row = json.loads((folder / "jobs.jsonl").read_text())
    assert row["status"] == "FAILED"
    assert row["run_id"] in row["error"]
    assert row["error"].endswith(": no")
    assert len((folder / "jobs" / "job-1" / "items.jsonl").read_text().splitlines()) == 2


def test_sync_job_that_collects_only_items_gets_them_in_the_answer(command: Command) -> None:
    """If the output is not collected, the items are the answer of the one request."""
    job = f"{SYNC}\ncollect = {{ output = false }}"
    command.write("sweep.toml", sweep(jobs=3, job=job, duration_secs=0.1, items=5))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 15)
    folder = Path(done.json["folder"]) / "jobs" / "job-2"
    assert len((folder / "items.jsonl").read_text().splitlines()) == 5


def test_sync_task_without_input_is_started_by_one_post(faulty: Faulty) -> None:
    """It is sent once, even if its connection breaks; gateways may send a GET again."""
    command, platform = faulty(
        {"method": "POST", "path": "/run-sync", "do": "reset-after", "times": 2}
    )
    platform.post(
        "/actor-tasks",
        {
            "actId": "orchestrator/simulated",
            "name": "nightly",
            "input": {"duration_secs": 0.2, "items": 3},
        },
    )
    command.write(
        "spec.toml",
        '[batch]\nname = "t"\n[[jobs]]\nname = "j"\ntask = "local/nightly"\nmode = "sync"\n',
    )
    done = command.run("run", "spec.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 3)
    assert len(platform.runs()) == 1
