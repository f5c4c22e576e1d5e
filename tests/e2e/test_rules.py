from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep


def line(folder: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads((Path(folder) / "jobs.jsonl").read_text())
    return row


def rules(*lines: str) -> str:
    """The fields of a job with rules, each written as an inline table."""
    return f"rules = [{', '.join('{ ' + line + ' }' for line in lines)}]"


def test_resurrection_continues_the_same_run(command: Command, platform: ServedPlatform) -> None:
    """A run that timed out is resurrected once, with twice its time; the job has its items."""
    job = "timeout_secs = 300\n" + rules(
        'status = "TIMED-OUT", do = "resurrect", max = 3, timeout_factor = 2, backoff_secs = 0'
    )
    text = sweep("back", 1, job=job, items=4, fail_attempts=1, fail_outcome="TIMED-OUT")
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    row = line(done.json["folder"])
    assert (row["attempts"], row["items"], done.json["runs"]) == (2, 4, 1)
    run = platform.get(f"/actor-runs/{row['run_id']}")
    assert run["stats"]["resurrectCount"] == 1
    assert run["options"]["timeoutSecs"] == 600
    assert len(platform.runs_of(Path(done.json["folder"]))) == 1


def test_resurrection_with_a_lost_answer_is_confirmed_by_the_run(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """The request is not sent again if the run shows its effect."""
    command, platform = faulty({"do": "reset-after", "path": "/resurrect", "times": 1})
    job = rules('do = "resurrect", max = 2, backoff_secs = 0')
    command.write("s.toml", sweep("lost", 1, job=job, items=3, fail_attempts=1))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    (run,) = platform.runs()
    assert platform.get(f"/actor-runs/{run['id']}")["stats"]["resurrectCount"] == 1


def test_next_run_gets_more_memory_and_another_build(
    command: Command, platform: ServedPlatform
) -> None:
    """A run that ran out of memory gets twice as much, up to the cap of the rule."""
    job = "memory_mbytes = 256\n" + rules(
        "exit_code = 137, memory_factor = 2, max_memory_mbytes = 512, max = 9, backoff_secs = 0"
    )
    text = sweep("memory", 1, job=job, fail_attempts=3, exit_code=137, items=1, n="more memory")
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    runs = platform.runs_of(Path(done.json["folder"]))
    memory = [platform.get(f"/actor-runs/{run['id']}")["options"]["memoryMbytes"] for run in runs]
    assert (done.code, memory) == (0, [256, 512, 512, 512])


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        ('message = "quota of * is used up", do = "give_up"', 1),
        ('log = "QUOTA *", do = "give_up"', 1),
        ('message = "something else", do = "give_up"', 3),
        ("max = 2, backoff_secs = 0", 2),
    ],
)
def test_rule_matches_message_and_log(command: Command, rule: str, runs: int) -> None:
    """A rule that matches decides how often a job is retried; otherwise `retries` does."""
    text = sweep(
        "said",
        1,
        job="retries = 2\n" + rules(rule, "backoff_secs = 0"),
        outcome="FAILED",
        status_message="The quota of shop-7 is used up",
        log_lines=["begun", "2026 quota exceeded"],
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["runs"]) == (1, runs)


def test_rule_stops_the_batch(command: Command) -> None:
    """Live runs are finished, nothing more is started, and the reason names the job."""
    text = sweep(
        "stopped", 5, batch="max_runs = 1", job=rules('do = "stop_batch"'), outcome="FAILED"
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3
    assert (done.json["runs"], done.json["jobs"]["NOT-STARTED"]) == (1, 4)
    assert "stopped early: job-1: run " in done.err
    assert "a rule stops the batch" in done.err


def test_mistakes_in_rules_are_reported(command: Command) -> None:
    """A status, an action and a factor that do not exist are errors, each with its place."""
    job = rules('status = "TIMEOUT", do = "reboot", memory_factor = 1, retires = 3')
    command.write("s.toml", sweep(job=job))
    done = command.run("validate", "s.toml")
    assert done.code == 2
    assert 'rules[0].status: unknown value "TIMEOUT"; did you mean "TIMED-OUT"?' in done.err
    assert 'rules[0].do: expected "restart", "resurrect", "give_up" or "stop_batch"' in done.err
    assert "jobs[0].rules[0].memory_factor: must be greater than 1" in done.err
    assert "jobs[0].rules[0].retires: unknown field 'retires'" in done.err
