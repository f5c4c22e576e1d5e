"""Batches with random rules for failed runs, which are killed, or on a faulty platform."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crash.platform_evidence import seen_runs, started_twice
from tests.crash.random_rules import COST_USD, draw, spec_of
from tests.crash.test_kills import FAULTS, QUICK
from tests.support.command import HURRIED, Command, ServedPlatform, served_platform

SEEDS = 100 if os.environ.get("ORCHESTRATOR_SOAK") else 2
KILLS = 3


@pytest.mark.parametrize("seed", range(SEEDS))
def test_rules_lead_to_the_runs_that_they_say(tmp_path: Path, seed: int) -> None:
    """Each run has the options and the resurrections of its rules, and is paid and counted once."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    jobs = draw(chance)
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({**FAULTS, "seed": seed}))
    words = ("--faults", str(faults)) if seed % 2 else ()
    with served_platform(tmp_path / "platform", *words) as platform:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **QUICK}, program=HURRIED
        )
        command.write("ruled.toml", spec_of(jobs, chance.choice([1, 3, 20])))
        summary, said = _run(command, chance, kills=KILLS if chance.random() < 0.6 else 0)
        platform.post_control("clock", {"advanceSecs": 1})
        (folder,) = (tmp_path / "output" / "ruled").glob("2*")
        runs = platform.runs_of(folder)
        lives = {job.key: job.lives() for job in jobs}
        shown = f"{jobs}\n{summary}\n{said[-3000:]}"
        assert started_twice(seen_runs(runs)) == [], shown
        for place, job in enumerate(jobs):
            expected = [
                (life.memory_mbytes, life.timeout_secs, life.resurrections)
                for life in lives[job.key][0]
            ]
            assert _shown(platform, runs, place) == expected, f"{job}\n{shown}"
        lines = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
        made = [platform.get(f"/datasets/{line['dataset_id']}")["itemCount"] for line in lines]
    assert [line["status"] for line in lines] == [lives[job.key][1] for job in jobs], shown
    attempts = sum(1 + life.resurrections for runs_, _ in lives.values() for life in runs_)
    assert (summary["attempts"], summary["runs"]) == (attempts, len(runs)), shown
    assert summary["cost_usd"] == pytest.approx(attempts * COST_USD, rel=0.01), shown
    assert ([line["items"] for line in lines], summary["items"]) == (made, sum(made)), shown
    verified = command.run("verify", "ruled")
    assert verified.code == 0, shown + verified.out


def _shown(
    platform: ServedPlatform, runs: list[dict[str, Any]], place: int
) -> list[tuple[int, int, int]]:
    """What the platform shows of the runs of a job, in the order of their starts."""
    found = []
    for run in sorted(runs, key=lambda run: run["startedAt"]):
        _, of_job, _, _ = run["meta"]["userAgent"].rpartition("(attempt ")[2].split(".")
        if int(of_job, 36) == place:
            whole = platform.get(f"/actor-runs/{run['id']}")
            options = whole["options"]
            count = whole["stats"]["resurrectCount"]
            found.append((options["memoryMbytes"], options["timeoutSecs"], count))
    return found


def _run(command: Command, chance: random.Random, *, kills: int) -> tuple[dict[str, Any], str]:
    """Runs the batch to its end; the first processes are killed at random moments."""
    said = ""
    for _ in range(kills):
        process = command.start(*_words(command))
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=chance.uniform(0.1, 0.8))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        said += process.communicate()[1]
    done = command.run(*_words(command), "--json")
    assert done.code in {0, 1}, said + done.err
    return done.json, said + done.err


def _words(command: Command) -> tuple[str, ...]:
    has_begun = any((command.folder / "output" / "ruled").glob("2*"))
    return ("resume", "ruled") if has_begun else ("run", "ruled.toml")
