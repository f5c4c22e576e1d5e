"""Random specs: what `plan` says is what `run` then does."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform

SEEDS = 100 if os.environ.get("ORCHESTRATOR_SOAK") else 2
SHOWN = 3
CENT = 0.01


def random_spec(chance: random.Random) -> str:
    """A spec of some sweeps, perhaps with jobs of their items, and a job that needs them."""
    parts = [f'[batch]\nname = "p"\ntimezone = "UTC"\nmax_runs = {chance.choice([1, 3, 20])}\n']
    parts.append('[params]\ncountry = "us"\n[defaults]\nactor = "orchestrator/simulated"\n')
    for number in range(chance.randint(1, 3)):
        name = f"j{number}-{{{{ country }}}}-{{{{ x }}}}{{{{ y }}}}-{{{{ date }}}}"
        values = [f"v{value}" for value in range(chance.randint(1, 4))]
        more = chance.choice(["", 'exclude = [{ x = 1, y = "v0" }]\n', "sample = 2\n"])
        more += chance.choice(["", 'include = [{ x = 77, y = "w" }]\n'])
        parts.append(
            f'[[jobs]]\nname = "{name}"\ntags = ["t{number}"]\nretries = {chance.randrange(3)}\n'
            + chance.choice(["", 'reuse = "1d"\n'])
            + f"input = {{ duration_secs = 0.01, cost_usd = {chance.choice([0, 0.02, 0.5])}, "
            f'items = {chance.randint(1, 2)}, item = {{ of = "{{{{ x }}}}-{{{{ y }}}}" }} }}\n'
            f"[jobs.matrix]\nx = {{ range = [1, {chance.randint(2, 4)}] }}\n"
            f"y = {json.dumps(values)}\n{more}"
        )
    if chance.random() < 0.5:
        parts.append(
            '[[jobs]]\nname = "of-{{ source }}-{{ i }}"\n'
            "input = { duration_secs = 0.01, cost_usd = 0.03 }\n"
            '[jobs.matrix]\nrows = { needs = "j0-*", fields = { i = "index" } }\n'
        )
    if chance.random() < 0.5:
        parts.append('[[jobs]]\nname = "end"\nneeds = ["j0-*"]\ninput = { cost_usd = 0.04 }\n')
    return "".join(parts)


def random_options(chance: random.Random) -> list[str]:
    """Options that `plan` and `run` share."""
    words = chance.choice([[], [], ["--param", "country=fr"], ["--limit", "4"]])
    return words + chance.choice([[], [], ["--exclude", "tag:t1"], ["--date", "2028-02-29"]])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_run_does_what_the_plan_says(command: Command, platform: ServedPlatform, seed: int) -> None:
    """The jobs, their order, how many take earlier results, the runs, the cost and the changes."""
    chance = random.Random(f"plan {seed}")  # noqa: S311 - to be repeatable
    spec, options = random_spec(chance), random_options(chance)
    command.write("s.toml", spec)
    for is_first in (True, False):
        words = [*options, "--json"] if is_first else [*options, "--json", "--diff", "p"]
        plan = command.run("plan", "s.toml", *words)
        shown = f"{options}\n{spec}\n{plan}"
        assert plan.code == 0, shown
        done = command.run("run", "s.toml", *options, "--json")
        assert done.code == 0, f"{shown}\n{done}"
        _check(plan.json, done.json, command.folder, shown)
        if not is_first:
            _check_history(plan.json, platform.runs_of(command.folder / done.json["folder"]), shown)


def _check(plan: dict[str, Any], done: dict[str, Any], folder: Path, shown: str) -> None:
    lines = (folder / done["folder"] / "jobs.jsonl").read_text().splitlines()
    jobs = [json.loads(line)["key"] for line in lines]
    known = [key for key in jobs if not key.startswith("of-")]
    later = len(jobs) - len(known)
    assert plan["jobs"] == len(known), shown
    keys = [job["key"] for job in plan["first"] + plan["last"]]
    assert keys == known[:SHOWN] + known[SHOWN:][-SHOWN:], shown
    assert plan["reused"] == done["reused"], shown
    assert plan["runs"] + later == done["runs"] <= plan["runs_most"] + later, shown
    usual = [one["usual_jobs"] for one in plan["later"]]
    assert sum(usual) == later if None not in usual else "diff" not in plan, shown


def _check_history(plan: dict[str, Any], runs: list[dict[str, Any]], shown: str) -> None:
    cost = sum(run["usageTotalUsd"] for run in runs)
    low, high = plan["cost_usd"]["low"], plan["cost_usd"]["high"]
    assert low - CENT < cost < high + CENT, shown
    assert [plan["diff"][name] for name in ("added", "changed", "removed")] == [[], [], []], shown
