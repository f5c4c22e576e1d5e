"""A process dies at each named point between the steps of an attempt, and is resumed."""

from __future__ import annotations

import inspect
import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.ledger import Ledger
from tests.crash.conftest import Die
from tests.support.command import Command, ServedPlatform, sweep, wait_until
from tests.support.fault_points import POINTS, Story

QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "1", "ORCHESTRATOR_SETTLE_SECS": "0.2"}
READING = {
    "sent",
    "demand_of_adoptable",
    "ended_attempt",
    "check_owner",
    "leave",
    "left_sources",
    "news",
}
SHARED = {
    "find",
    "due_costs",
    "free_added",
    "halt",
    "hold_lease",
    "intend",
    "join",
    "has_left_attempts",
    "leave_batch",
    "mark_complete",
    "seek_end",
    "set_claim",
    "steal",
}
"""Steps of shards, which the tests of shards kill at any time."""

REPEATED = {
    "adopt",
    "begin_call",
    "record_orphan",
    "mark_collected_again",
    "record_costs",
    "set_costs_settle_secs",
    "set_keeps_days",
    "set_limits",
    "judge_batch",
    "mark_seen",
    "record_waits",
    "record_progress",
    "keep_log_end",
    "skip",
    "refuse",
    "reuse",
    "mark_found_again",
    "set_datasets",
}
"""Steps that the next process repeats; see the tests of orphan runs and of `collect`."""
RESURRECT = 'rules = [{ do = "resurrect", max = 2, backoff_secs = 0 }]'
SYNC = 'mode = "sync"\nmemory_mbytes = 128'

ABORTING = [name for name, point in POINTS.items() if point.story is Story.ABORT]
EXPANDING = [name for name, point in POINTS.items() if point.story is Story.ROWS]
RUNNING = [
    name
    for name, point in POINTS.items()
    if point.story not in {Story.ABORT, Story.ROWS, Story.MERGED}
]


@pytest.mark.parametrize("name", RUNNING)
def test_batch_ends_correctly_after_its_process_dies_at(
    name: str, tmp_path: Path, platform: ServedPlatform, die_at: Die
) -> None:
    """After a death at any point, the next process starts nothing twice and omits nothing."""
    story = POINTS[name].story
    jobs = 2 if story is Story.PLAIN else 1
    items = 40_000 if story is Story.LARGE else 3
    runs_of_a_job = 2 if story is Story.RETRIED else 1
    command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
    command.write(
        "sweep.toml",
        sweep(
            jobs=jobs,
            job=_job(story),
            duration_secs=0.05,
            items=items,
            # The platform counts failures by input: no two tests may have the same input.
            item={"from": f"{name}-{{{{ n }}}}"},
            output=True,
            fail_attempts=int(story in {Story.RETRIED, Story.RESURRECTED}),
        ),
    )
    again = ["run", "sweep.toml"] if name == "batch-prepared" else ["resume", "sweep"]
    before = {run["id"] for run in platform.runs()}
    done = die_at(name, command, ["run", "sweep.toml"], [*again, "--json"])
    assert done.code == 0, done.err
    new = [run for run in platform.runs() if run["id"] not in before]
    starts = Counter(map(_attempt, new))
    assert sorted(starts.values()) == [1] * (jobs * runs_of_a_job)
    assert done.json["jobs"]["SUCCEEDED"] == jobs
    for run in new:
        stats = platform.get(f"/actor-runs/{run['id']}")["stats"]
        assert stats["resurrectCount"] == int(story is Story.RESURRECTED)
    folder = tmp_path / "output" / "sweep" / "latest"
    assert folder.resolve() == Path(done.json["folder"]).resolve()
    rows = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert [row["items"] for row in rows] == [items] * jobs
    for row in rows:
        job = folder / "jobs" / row["key"]
        lines = (job / "items.jsonl").read_text().splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(items))
        assert json.loads((job / "run.json").read_text())["id"] == row["run_id"]
        assert [path.name for path in job.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", EXPANDING)
def test_items_become_jobs_once_after_a_process_dies_at(
    name: str, tmp_path: Path, platform: ServedPlatform, die_at: Die
) -> None:
    """A death while items become jobs neither loses a job nor makes one twice."""
    command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
    first = sweep(jobs=1, duration_secs=0.05, items=3, item={"from": name})
    then = (
        '[[jobs]]\nname = "then-{{ index }}"\nactor = "orchestrator/simulated"\n'
        'input = { duration_secs = 0.05, items = 2, item = { of = "{{ index }}" } }\n'
        'matrix = { rows = { needs = "*", fields = ["index"], distinct = true } }\n'
    )
    command.write("sweep.toml", f"{first}\n{then}")
    before = {run["id"] for run in platform.runs()}
    done = die_at(name, command, ["run", "sweep.toml"], ["resume", "sweep", "--json"])
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 4), done.err
    starts = Counter(_attempt(run) for run in platform.runs() if run["id"] not in before)
    assert sorted(starts.values()) == [1] * 4


@pytest.mark.parametrize("name", ABORTING)
def test_abort_is_completed_after_its_process_dies_at(
    name: str, tmp_path: Path, platform: ServedPlatform, die_at: Die
) -> None:
    """A second `abort` ends all live runs, and keeps the items of all runs."""
    command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
    spec = sweep(jobs=2, duration_secs=60, items=500, push_interval_secs=0.01)
    command.write("sweep.toml", spec)
    folder = tmp_path / "output" / "sweep" / "latest"
    process = command.start("run", "sweep.toml")
    wait_until(lambda: len(platform.runs_of(folder)) == 2, "two runs")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = die_at(name, command, ["abort", "sweep"], ["abort", "sweep", "--json"])
    assert (done.code, done.json["jobs"]["ABORTED"]) == (0, 2), done.err
    assert [run["status"] for run in platform.runs_of(folder)] == ["ABORTED"] * 2
    for job in (folder / "jobs").iterdir():
        lines = (job / "items.jsonl").read_text().splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
        assert lines


def test_each_transition_of_the_ledger_has_a_point_before_and_after() -> None:
    """A new transition needs a test of what happens if the process dies there."""
    transitions = {
        name for name, method in inspect.getmembers(Ledger, callable) if not name.startswith("_")
    }
    transitions -= READING | REPEATED | SHARED
    points = [point for point in POINTS.values() if point.owner is Ledger]
    for after in (False, True):
        covered = {point.name for point in points if point.after is after}
        assert transitions <= covered, f"no point {'after' if after else 'before'}"


def _job(story: Story) -> str:
    if story in {Story.SYNC, Story.SYNC_LOST}:
        return SYNC
    return RESURRECT if story is Story.RESURRECTED else "retries = 1"


def _attempt(run: dict) -> str:
    """The mark of a start, without the number of the send."""
    return str(run["meta"]["userAgent"].rpartition("(attempt ")[2].rsplit(".", 1)[0])
