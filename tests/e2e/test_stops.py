from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep

FAILING = (
    '[[jobs]]\nname = "bad-{{ n }}"\nactor = "orchestrator/simulated"\npriority = 1\n'
    'input = { duration_secs = 0.01, outcome = "FAILED", status_message = "no key {{ n }}" }\n'
    "matrix = { n = { range = [1, JOBS] } }\n"
)


def failing(jobs: int) -> str:
    return FAILING.replace("JOBS", str(jobs))


def lines(folder: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (Path(folder) / "jobs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("limit", "runs", "why"),
    [
        ("3", 3, "3 jobs failed, and stop_after_failures is 3"),
        ('"10%"', 20, "4 of 20 jobs failed, and stop_after_failures is 10%"),
    ],
)
def test_batch_stops_after_failures(command: Command, limit: str, runs: int, why: str) -> None:
    """A count stops at once; a share stops after its sample. The rest can be resumed."""
    batch = f"max_runs = 1\nstop_after_failures = {limit}"
    text = sweep("failing", 50, batch=batch, duration_secs=0.01) + failing(4)
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    # A job counts when its run has ended, before its slot is free for the next one.
    assert (done.code, done.json["runs"]) == (3, runs)
    assert done.json["jobs"]["NOT-STARTED"] == 54 - runs
    assert why in done.err
    again = command.run("resume", "failing", "--json")
    assert (again.code, again.json["jobs"]["SUCCEEDED"]) == (1, 50)


def with_short_trials(command: Command) -> Command:
    """The command, with a short time until a failing Actor is tried again."""
    return replace(
        command, variables={**command.variables, "ORCHESTRATOR_BREAKER_PROBE_SECS": "0.2"}
    )


def test_jobs_of_an_actor_that_only_fails_are_held(
    command: Command, platform: ServedPlatform
) -> None:
    """After five equal failures, three runs are tried; the other jobs fail with that reason."""
    platform.post(
        "/actor-tasks",
        {"actId": "orchestrator~simulated", "name": "works", "input": {"duration_secs": 0.01}},
    )
    command.write(
        "s.toml",
        '[batch]\nname = "held"\nmax_runs = 1\n'
        + failing(20)
        + '[[jobs]]\nname = "task"\ntask = "local/works"\n',
    )
    done = with_short_trials(command).run("run", "s.toml", "--json")
    assert (done.code, done.json["runs"]) == (1, 9), done.err
    assert (done.json["jobs"]["FAILED"], done.json["jobs"]["SUCCEEDED"]) == (20, 1)
    assert done.err.count("none of 3 that were tried later succeeded") == 1
    *_, held, _ = lines(done.json["folder"])
    assert held["attempts"] == 0
    assert "not started: actor orchestrator/simulated is held" in held["error"]
    again = command.run("retry", "held", "--select", "name:bad-20", "--json")
    assert (again.code, again.json["runs"]) == (1, 10)


def test_failing_actor_continues_after_a_success(command: Command) -> None:
    """An Actor whose first five runs fail is tried again, and one success lets all continue."""
    good = sweep("spell", 20, batch="max_runs = 1", duration_secs=0.01, items=1)
    command.write("s.toml", good + failing(6))
    done = with_short_trials(command).run("run", "s.toml", "--json")
    jobs = done.json["jobs"]
    assert (done.code, jobs["FAILED"], jobs["SUCCEEDED"]) == (1, 6, 20), done.err


def test_deadline_aborts_live_runs(command: Command, platform: ServedPlatform) -> None:
    """At the deadline no more starts are sent; live runs are aborted and their items kept."""
    text = sweep(
        "late",
        3,
        batch="max_runs = 2\ndeadline_secs = 1",
        duration_secs=60,
        items=600,
        push_interval_secs=0.1,
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3
    assert (done.json["jobs"]["ABORTED"], done.json["jobs"]["NOT-STARTED"]) == (2, 1)
    assert "the deadline of 1 s (deadline_secs) has passed" in done.err
    runs = platform.runs_of(Path(done.json["folder"]))
    assert {run["status"] for run in runs} == {"ABORTED"}
    first, second, third = lines(done.json["folder"])
    assert 0 < first["items"] < 600
    assert "the deadline of 1 s" in second["error"]
    assert third["status"] == "NOT-STARTED"


def test_straggler_is_aborted_and_retried(command: Command) -> None:
    """A run that takes far longer than others is aborted; the job gets its next attempt."""
    text = sweep("slow", 6, batch="max_runs = 1", duration_secs=0.1, items=1) + (
        '[[jobs]]\nname = "stuck"\nactor = "orchestrator/simulated"\nretries = 1\n'
        "abort_after_factor = 10\n"
        "input = { duration_secs = 60, items = 1 }\n"
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 1
    stuck = lines(done.json["folder"])[-1]
    assert (stuck["status"], stuck["attempts"]) == ("ABORTED", 2)
    assert "10 times the usual" in stuck["error"]
    assert done.json["stragglers"] == ["stuck"]
