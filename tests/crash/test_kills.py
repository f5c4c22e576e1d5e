"""
Real processes, killed by SIGKILL at random points and resumed, against a platform that misbehaves.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.command import Command, served_platform, sweep, wait_until

FAULTS = {
    "list_lag_secs": 0.5,
    "rules": [
        {"method": "POST", "path": "/runs$", "do": "error-after", "rate": 0.05},
        {"method": "POST", "path": "/runs$", "do": "reset-after", "rate": 0.05},
        {"path": "/items", "do": "truncated", "rate": 0.1},
        {"do": "rate-limited", "rate": 0.02},
        {"do": "error-before", "rate": 0.02},
    ],
}
JOBS = 40
ITEMS = 20
QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "2", "ORCHESTRATOR_SETTLE_SECS": "2"}
NIGHTS = 20 if os.environ.get("ORCHESTRATOR_SOAK") else 1
KILLS = 10


@pytest.mark.parametrize("seed", range(NIGHTS))
def test_killed_again_and_again_nothing_is_twice_and_nothing_lost(
    tmp_path: Path, seed: int
) -> None:
    """However often the process is killed, each job has one run and all its items once."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"seed": seed, **FAULTS}))
    with served_platform(tmp_path / "platform", "--faults", str(faults)) as platform:
        command = Command(folder=tmp_path, variables={**platform.variables(), **QUICK})
        command.write(
            "sweep.toml",
            sweep(jobs=JOBS, batch="max_runs = 8", duration_secs=0.3, items=ITEMS),
        )
        for _ in range(KILLS):
            process = command.start("run", "sweep.toml", "--resume")
            try:
                process.communicate(timeout=chance.uniform(0.4, 2.2))
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=30)
        done = command.run("run", "sweep.toml", "--resume", "--json", timeout=110)
        assert done.code == 0, f"seed {seed}: {done.err}"
        batches = list((tmp_path / "output" / "sweep").glob("2*"))
        # The youngest runs are missing from the lists for a while.
        wait_until(lambda: len(platform.runs()) >= JOBS * len(batches), "all runs in the list")
        starts = Counter(
            run["meta"]["userAgent"].rpartition("(attempt ")[2].rsplit(".", 2)[0]
            for run in platform.runs()
        )
    twice = {mark: count for mark, count in starts.items() if count > 1}
    assert twice == {}, f"seed {seed}"
    assert len(starts) == JOBS * len(batches), f"seed {seed}"
    for number in range(1, JOBS + 1):
        path = Path(done.json["folder"]) / "jobs" / f"job-{number}" / "items.jsonl"
        items = [json.loads(line)["index"] for line in path.read_text().splitlines()]
        assert items == list(range(ITEMS)), f"seed {seed}, job {number}"
