from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.command import HURRIED, Command, ServedPlatform, sweep


@pytest.fixture
def command(command: Command) -> Command:
    """The command, for which costs are final after a second."""
    variables = {**command.variables, "ORCHESTRATOR_COSTS_SETTLE_SECS": "1"}
    return replace(command, program=HURRIED, variables=variables)


def spec(
    budget: float, *, jobs: int = 6, cost: float = 0.1, job: str = "", name: str = "money"
) -> str:
    batch = f"max_cost_usd = {budget}"
    return sweep(name, jobs, batch=batch, job=job, duration_secs=0.01, cost_usd=cost)


def spent(platform: ServedPlatform, folder: str) -> Decimal:
    runs = platform.runs_of(Path(folder))
    return sum((Decimal(str(run["usageTotalUsd"])) for run in runs), Decimal(0))


def test_batch_stops_before_it_can_pass_its_budget(
    command: Command, platform: ServedPlatform
) -> None:
    """Runs start as long as what is spent and reserved leaves room; the rest can be resumed."""
    command.write("s.toml", spec(0.55, cost=0.2, job="max_total_charge_usd = 0.2"))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3, done.err
    assert (done.json["runs"], done.json["jobs"]["NOT-STARTED"]) == (2, 4)
    assert "the budget leaves no room for 4 jobs" in done.err
    assert spent(platform, done.json["folder"]) == Decimal("0.4")
    (cap,) = {
        platform.get(f"/actor-runs/{run['id']}")["options"]["maxTotalChargeUsd"]
        for run in platform.runs_of(Path(done.json["folder"]))
    }
    assert cap == 0.2
    command.write("s.toml", spec(2.0, cost=0.2, job="max_total_charge_usd = 0.2"))
    again = command.run("resume", "money", "--accept-changes", "--json")
    assert (again.code, again.json["jobs"]["SUCCEEDED"], again.json["runs"]) == (0, 6, 6)


def test_money_that_was_reserved_and_not_spent_is_used(
    command: Command, platform: ServedPlatform
) -> None:
    """A run that costs less than its cap makes room, when its cost has settled."""
    job = "max_total_charge_usd = 0.3"
    command.write("s.toml", spec(0.5, jobs=3, cost=0.1, job=job))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["runs"]) == (0, 3), done.err


def test_job_that_may_cost_anything_is_refused_under_a_budget(
    command: Command, platform: ServedPlatform
) -> None:
    """Without a cap and without an earlier run nobody knows what a run costs: nothing starts."""
    platform.post("/actor-tasks", {"actId": "orchestrator~simulated", "name": "never-run"})
    command.write(
        "s.toml",
        '[batch]\nname = "b"\nmax_cost_usd = 1\n[[jobs]]\nname = "j"\ntask = "local/never-run"\n',
    )
    done = command.run("run", "s.toml")
    assert done.code == 2
    assert "give max_total_charge_usd" in done.err


def test_job_dearer_than_the_whole_budget_is_refused(command: Command) -> None:
    """A job that can never fit is told at once."""
    command.write("s.toml", spec(0.5, job="max_total_charge_usd = 0.6"))
    done = command.run("run", "s.toml")
    assert done.code == 2
    assert "job-1: may cost $0.6000, and max_cost_usd is $0.5000" in done.err


def test_history_stands_for_a_cap(command: Command, platform: ServedPlatform) -> None:
    """Where earlier runs show what an Actor costs, memory and timeout tell the most of the next."""
    command.write("first.toml", spec(1, jobs=1, job="max_total_charge_usd = 0.2", name="first"))
    command.run("run", "first.toml")
    command.write("s.toml", spec(10, jobs=2, job="memory_mbytes = 4096\ntimeout_secs = 3600"))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    (run, _) = platform.runs_of(Path(done.json["folder"]))
    assert platform.get(f"/actor-runs/{run['id']}")["options"]["maxTotalChargeUsd"] == 1.0
