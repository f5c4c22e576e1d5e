"""Batches with random rules for failed runs: killed, shared, or on a faulty platform."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.crash.platform_evidence import seen_runs, started_twice
from tests.crash.random_rules import COST_USD, draw, spec_of
from tests.crash.test_kills import FAULTS, QUICK
from tests.support.command import HURRIED, Command, Process, ServedPlatform, served_platform
from tests.support.postgres_server import PostgresServer

IS_SOAK = "ORCHESTRATOR_SOAK" in os.environ
SEEDS = 100 if IS_SOAK else 2
KILLS = 3
DAY = "2027-01-15"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_rules_lead_to_the_runs_that_they_say(tmp_path: Path, seed: int) -> None:
    """Each run has the options and the resurrections of its rules, and is paid and counted once."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    _check(tmp_path, chance, has_faults=bool(seed % 2), run=_run)


@pytest.mark.skipif(not IS_SOAK, reason="ORCHESTRATOR_SOAK is not set")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_rules_hold_for_all_shards(tmp_path: Path, server: PostgresServer, seed: int) -> None:
    """Processes that share a batch make the same runs, also if they are killed or paused."""
    chance = random.Random(f"shards {seed}")  # noqa: S311 - to be repeatable
    variables = {"ORCHESTRATOR_LEDGER": server.url, "ORCHESTRATOR_BREAKER_PROBE_SECS": "0.3"}
    _check(tmp_path, chance, has_faults=bool(seed % 2), run=_share, variables=variables)


def _check(
    tmp_path: Path,
    chance: random.Random,
    *,
    has_faults: bool,
    run: Callable[[Command, random.Random, int], str],
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """
    Runs jobs with random rules, and compares what is said of them with the platform.

    Args:
        run: runs the batch to its end, with some kills; returns what was printed.
    """
    jobs = draw(chance)
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({**FAULTS, "seed": chance.randrange(1000)}))
    words = ("--faults", str(faults)) if has_faults else ()
    with served_platform(tmp_path / "platform", *words) as platform:
        command = Command(
            folder=tmp_path,
            variables={**platform.variables(), **QUICK, **variables},
            program=HURRIED,
        )
        command.write("ruled.toml", spec_of(jobs, chance.choice([1, 3, 20])))
        said = run(command, chance, KILLS if chance.random() < 0.6 else 0)
        platform.post_control("clock", {"advanceSecs": 1})
        (folder,) = (tmp_path / "output" / "ruled").glob("2*")
        summary = json.loads((folder / "summary.json").read_text())
        runs = platform.runs_of(folder)
        lives = {job.key: job.lives() for job in jobs}
        shown = f"{jobs}\n{summary}\n{said[-6000:]}"
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


def _run(command: Command, chance: random.Random, kills: int) -> str:
    """Runs the batch to its end; the first processes are killed at random moments."""
    said = ""
    for _ in range(kills):
        process = command.start(*_words(command))
        _signal(process, signal.SIGKILL, within_secs=chance.uniform(0.1, 0.8))
        said += process.communicate()[1]
    done = command.run(*_words(command))
    assert done.code in {0, 1}, said + done.err
    return said + done.err


def _words(command: Command) -> tuple[str, ...]:
    has_begun = any((command.folder / "output" / "ruled").glob("2*"))
    return ("resume", "ruled") if has_begun else ("run", "ruled.toml")


def _share(command: Command, chance: random.Random, kills: int) -> str:
    """Runs the batch to its end in several processes; some are killed, ended or paused."""
    count, said = chance.randint(2, 3), ""

    def words(place: int) -> tuple[str, ...]:
        return "run", "ruled.toml", "--occurrence", DAY, "--shard", f"{place + 1}/{count}"

    live = [command.start(*words(place)) for place in range(count)]
    for _ in range(kills):
        place = chance.randrange(count)
        number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
        _signal(live[place], number, within_secs=chance.uniform(0.1, 1.2))
        if number == signal.SIGSTOP:
            # Longer than a short lease: another process takes its attempts.
            _signal(live[place], signal.SIGCONT, within_secs=chance.uniform(0.1, 3))
        else:
            said += live[place].communicate()[1]
            live[place] = command.start(*words(place))
    for process in live:
        said += f"---\n{process.communicate()[1]}"
    assert {process.code for process in live} <= {0, 1}, said
    return said


def _signal(process: Process, number: int, *, within_secs: float) -> None:
    """Sends a signal to a process after some time, unless it has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=within_secs)
    process.send_signal(number)
