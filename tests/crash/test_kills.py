"""Real processes, killed by SIGKILL at random points, then resumed on a faulty platform."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import defaultdict
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from tests.support.command import (
    HURRIED,
    TRIES,
    Command,
    ServedPlatform,
    served_platform,
    wait_until,
)

FAULTS = {
    "list_lag_secs": 0.5,
    "rules": [
        {"method": "POST", "path": "/runs$", "do": "error-after", "rate": 0.05},
        {"method": "POST", "path": "/runs$", "do": "reset-after", "rate": 0.05},
        {"path": "/run-sync", "do": "reset-after", "rate": 0.2},
        {"path": "/items", "do": "truncated", "rate": 0.1},
        {"do": "rate-limited", "rate": 0.02},
        {"do": "error-before", "rate": 0.02},
    ],
}
SPEC = """
[batch]
name = "sweep"
max_runs = 8

[[jobs]]
name = "plain-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 0.3, items = 20 }
matrix = { n = { range = [1, 24] } }

[[jobs]]
name = "failing-{{ n }}"
actor = "orchestrator/simulated"
input = { duration_secs = 0.2, items = 20, fail_attempts = 1, item = { n = "{{ n }}" } }
matrix = { n = { range = [1, 6] } }
retries = 1

[[jobs]]
name = "held-{{ n }}"
actor = "orchestrator/simulated"
mode = "sync"
memory_mbytes = 128
input = { duration_secs = 0.3, items = 20, output = true }
matrix = { n = { range = [1, 10] } }
"""
JOBS = 40
ITEMS = 20
QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "2", "ORCHESTRATOR_SETTLE_SECS": "2"}
SEEDS = 40 if os.environ.get("ORCHESTRATOR_SOAK") else 6
KILLS = 5


@pytest.mark.parametrize("seed", range(SEEDS))
def test_repeated_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    """After any number of kills, each attempt has one run and each job all its items."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"seed": seed, **FAULTS}))
    words = ("--faults", str(faults), "--sync-wait-secs", "1")
    output = tmp_path / "output" / "sweep"
    with served_platform(tmp_path / "platform", *words) as platform:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **QUICK}, program=HURRIED
        )
        command.write("sweep.toml", SPEC)
        call = _killed(command, output, chance)
        done = command.run(*call, "--json")
        assert done.code == 0, f"seed {seed}: {done.err}"
        batches = sorted(output.glob("2*"))
        check_runs(_all_runs(platform), jobs=JOBS * len(batches))
    check_items(batches)


@pytest.mark.parametrize("seed", range(SEEDS // 4))
def test_batch_continues_after_a_kill_with_its_emulator(tmp_path: Path, seed: int) -> None:
    """With --local the platform dies too; it continues all its runs, one for each attempt."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    output = tmp_path / "output" / "sweep"
    command = Command(folder=tmp_path, variables=QUICK, program=HURRIED)
    command.write("sweep.toml", SPEC)
    words = _killed(command, output, chance, "--local")
    done = command.run(*words, "--json")
    assert done.code == 0, f"seed {seed}: {done.err}"
    batches = sorted(output.glob("2*"))
    with served_platform(tmp_path / "output" / ".platform") as platform:
        check_runs(platform.runs(), jobs=JOBS * len(batches))
    check_items(batches)


def _all_runs(platform: ServedPlatform) -> list[dict]:
    """The runs of all batches; the newest are missing from the platform's lists for a while."""
    for _ in range(TRIES):
        with suppress(OSError):
            platform.post("/acts/orchestrator~simulated/runs", {})
            break
    runs: list[dict] = []

    def is_listed() -> bool:
        runs[:] = platform.runs()
        return not all(map(_is_ours, runs))

    # Runs that were started before this orphan run are listed before it.
    wait_until(is_listed, "a run in the list")
    return [run for run in runs if _is_ours(run)]


def _is_ours(run: dict) -> bool:
    return "(attempt " in run["meta"]["userAgent"]


def check_runs(runs: list[dict], *, jobs: int) -> None:
    """
    Each attempt of a job has one run, and follows only a failed attempt.

    Args:
        runs: as the platform reports them, which alone knows what was started and paid.
    """
    statuses = defaultdict(list)
    for run in sorted(runs, key=lambda run: str(run["startedAt"])):
        mark = run["meta"]["userAgent"].rpartition("(attempt ")[2]
        batch, job, attempt, _send = mark.split(".")
        statuses[batch, job].append((int(attempt), run["status"]))
    assert len(statuses) == jobs
    for job, found in statuses.items():
        expected = [(n, "FAILED") for n in range(1, len(found))] + [(len(found), "SUCCEEDED")]
        assert found == expected, job


def check_items(batches: list[Path]) -> None:
    """Each job has each of its items once."""
    for path in (path for batch in batches for path in (batch / "jobs").iterdir()):
        lines = (path / "items.jsonl").read_text().splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(ITEMS)), path


def _killed(command: Command, output: Path, chance: random.Random, *more: str) -> tuple[str, ...]:
    """Kills processes of one occurrence in turn; returns the call that completes the last one."""
    kills = 0
    for day in count(1):
        words = ("run", "sweep.toml", "--resume", "--date", f"2026-01-{day:02}", *more)
        while kills < KILLS and _is_killed(command, output, chance, words):
            kills += 1
        if kills == KILLS:
            return words
    raise AssertionError("there is always another day")


def _is_killed(
    command: Command, output: Path, chance: random.Random, words: tuple[str, ...]
) -> bool:
    """Starts a process that resumes or begins the batch; kills it unless it ends by itself."""
    process = command.start(*words)
    if chance.random() < 0.8:
        # Without this, most would die during their imports.
        wait_until(lambda: process.has_ended or _holds(process.pid, output), "a batch")
    try:
        _, err = process.communicate(timeout=chance.uniform(0.0, 1.2))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.code == 0, err
    return False


def _holds(pid: int, output: Path) -> bool:
    locks = [*output.glob("*/.lock"), *output.glob(".*/.lock")]
    return any(f"process {pid} " in path.read_text() for path in locks)
