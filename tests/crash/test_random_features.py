"""Batches with random features, which are killed, interrupted, shared, or on a faulty platform."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crash.platform_evidence import most_at_once, seen_runs, started_twice
from tests.crash.random_features import Features, draw
from tests.crash.test_kills import FAULTS, QUICK
from tests.support.command import HURRIED, Command, Process, served_platform
from tests.support.postgres_server import PostgresServer

IS_SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
SEEDS = 60 if IS_SOAK else 1
STOPS = 3
DAY = "2027-01-15"

Answer = tuple[dict[str, Any], str]
Ways = Callable[[Command, random.Random], Answer]


def alone(command: Command, _chance: random.Random) -> Answer:
    """One process, which nothing disturbs."""
    done = command.run("run", "shops.toml", "--json")
    assert done.code == 0, done.err
    return done.json, done.err


def killed(command: Command, chance: random.Random) -> Answer:
    """Some processes are killed at random moments; the next one resumes."""
    return _stopped(command, chance, lambda process: os.killpg(process.pid, signal.SIGKILL))


def interrupted(command: Command, chance: random.Random) -> Answer:
    """Some processes get Ctrl-C at random moments; the next one resumes."""
    return _stopped(command, chance, lambda process: process.send_signal(signal.SIGINT))


def _stopped(command: Command, chance: random.Random, stop: Callable[[Process], None]) -> Answer:
    said, before = "", len(_batches(command))
    for _ in range(STOPS):
        process = command.start(*_words(command), "--json")
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=chance.uniform(0.1, 1.2))
        with suppress(ProcessLookupError):
            stop(process)
        _, err = process.communicate()
        said += err
        assert process.code in {0, 130, -signal.SIGKILL}, err
        if len(_batches(command)) > before and not _is_open(command):
            # It may have been stopped when all was done.
            return json.loads((_newest(command) / "summary.json").read_text()), said
    done = command.run(*_words(command), "--json")
    assert done.code == 0, said + done.err
    return done.json, said + done.err


def _words(command: Command) -> tuple[str, ...]:
    """Begins a batch, or resumes the last one if it has not ended."""
    return ("resume", "shops") if _is_open(command) else ("run", "shops.toml")


def _is_open(command: Command) -> bool:
    return not all(map(_has_ended, _batches(command)))


def _has_ended(folder: Path) -> bool:
    summary = folder / "summary.json"
    return summary.exists() and json.loads(summary.read_text())["exit_code"] == 0


def _batches(command: Command) -> list[Path]:
    return list((command.folder / "output" / "shops").glob("2*"))


def _newest(command: Command) -> Path:
    return max(_batches(command))


def shared(command: Command, chance: random.Random) -> Answer:
    """Several processes, which nothing disturbs."""
    return _shared(command, chance, kills=0)


def shared_and_killed(command: Command, chance: random.Random) -> Answer:
    """Several processes, of which some are killed and started again."""
    return _shared(command, chance, kills=STOPS)


def _shared(command: Command, chance: random.Random, *, kills: int) -> Answer:
    count = chance.randint(2, 3)
    words = ("run", "shops.toml", "--json", "--occurrence", DAY)

    def start(number: int) -> Process:
        return command.start(*words, "--shard", f"{number + 1}/{count}")

    live = [start(number) for number in range(count)]
    said = ""
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 1.2))
        place = chance.randrange(count)
        with suppress(ProcessLookupError):
            os.killpg(live[place].pid, signal.SIGKILL)
        _, err = live[place].communicate()
        said += err
        assert live[place].code in {0, -signal.SIGKILL}, said
        if live[place].code != 0:
            live[place] = start(place)
    answers = [process.communicate() for process in live]
    said += "".join(err for _, err in answers)
    assert {process.code for process in live} == {0}, said
    return json.loads(answers[0][0]), said


MORE = [killed, interrupted, shared_and_killed]
WAYS = [alone, shared, *MORE] if IS_SOAK else [alone, shared]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_batch_with_random_features_is_whole(
    tmp_path: Path, server: PostgresServer, way: Ways, seed: int
) -> None:
    """Every job has run once and its items are there, in a first batch and in a later one."""
    chance = random.Random(f"{way.__name__} {seed}")  # noqa: S311 - to be repeatable
    features = draw(chance)
    is_shared = way in (shared, shared_and_killed)
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({**FAULTS, "seed": seed}))
    words = ("--faults", str(faults)) if chance.random() < 0.5 else ()
    with served_platform(tmp_path / "platform", *words) as platform:
        variables = {**platform.variables(), **QUICK}
        if is_shared:
            variables["ORCHESTRATOR_LEDGER"] = server.url
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("shops.toml", features.spec())
        batches = [features.runs] if is_shared else [features.runs, features.later_runs]
        for runs in batches:
            summary, said = way(command, chance)
            # The lists of a faulty platform show the last runs a moment later.
            platform.post_control("clock", {"advanceSecs": 1})
            seen = seen_runs(platform.runs_of(_newest(command)))
            shown = f"{features}\n{summary}\n{said[-3000:]}"
            assert {"SUCCEEDED": features.jobs} == _counts(summary), shown
            assert (len(seen), started_twice(seen)) == (runs, []), shown
            assert most_at_once(seen) <= features.max_runs, shown
            _check_files(command, features, shown)


def _counts(summary: dict[str, Any]) -> dict[str, int]:
    return {status: jobs for status, jobs in summary["jobs"].items() if jobs}


def _check_files(command: Command, features: Features, shown: str) -> None:
    verified = command.run("verify", "shops")
    assert verified.code == 0, shown + verified.out
    collected = command.run("collect", "shops", "--json")
    assert (collected.code, collected.json["fetched"]) == (0, []), shown + collected.err
    assert collected.json["items"] == features.rows, shown
    if features.form:
        with (_newest(command) / "results" / f"items.{features.form}").open() as lines:
            rows = list(lines if features.form == "jsonl" else csv.DictReader(lines))
        assert len(rows) == features.rows, shown
