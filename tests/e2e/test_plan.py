from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep


def test_plan_shows_what_will_run_and_starts_nothing(
    command: Command, platform: ServedPlatform
) -> None:
    """Without a network: the jobs, the possible number of runs, and what is not known."""
    before = len(platform.runs())
    command.write("s.toml", sweep("p", 40, job="retries = 2", duration_secs=0.01))
    offline = Command(folder=command.folder)
    plan = offline.run("plan", "s.toml", "--json").json
    assert (plan["jobs"], plan["runs_most"], plan["requests"]) == (40, 120, 120)
    assert [job["key"] for job in plan["first"] + plan["last"]] == [
        "job-1", "job-2", "job-3", "job-38", "job-39", "job-40",
    ]  # fmt: skip
    assert plan["duration_secs"] is None
    assert "the time of 40 jobs of actor orchestrator/simulated" in plan["unknown"][0]
    shown = offline.run("plan", "s.toml").out.splitlines()
    assert shown[0] == "p: 40 jobs, at most 120 runs"
    assert shown[6].split() == ["key", "job-1", "job-40"]
    assert len(shown) < 24
    assert len(platform.runs()) == before
    assert not (command.folder / "output").exists()


def test_plan_estimates_from_earlier_batches(command: Command) -> None:
    """It shows time, memory and cost, and which limit decides the time."""
    text = sweep(
        "p", 10, batch="max_runs = 2", job="memory_mbytes = 1024", duration_secs=0.2, cost_usd=0.5
    )
    command.write("s.toml", text)
    assert command.run("run", "s.toml").code == 0
    plan = command.run("plan", "s.toml", "--json").json
    assert plan["cost_usd"] == {"low": 5.0, "likely": 5.0, "high": 5.0}
    assert 0.9 < plan["duration_secs"]["likely"] < 2.0
    assert plan["binds"] == "max_runs = 2"
    assert plan["unknown"] == []


def test_plan_reads_the_account(command: Command) -> None:
    """Online, other runs of the Actor and the limits show what the batch itself cannot."""
    command.write("a.toml", sweep("a", 3, duration_secs=0.05, cost_usd=0.1))
    assert command.run("run", "a.toml").code == 0
    command.write("b.toml", sweep("b", 4, duration_secs=0.05, cost_usd=0.1))
    plan = command.run("plan", "b.toml", "--online", "--json").json
    assert plan["cost_usd"] is not None
    assert plan["duration_secs"] is not None
    assert plan["account"]["max_runs"] > 0
    command.write("c.toml", sweep("c", 1).replace("orchestrator/simulated", "no/such"))
    done = command.run("plan", "c.toml", "--online")
    assert (done.code, "actor no/such" in done.err) == (2, True)


def test_plan_shows_the_difference_to_a_batch(command: Command) -> None:
    """It lists added, changed and removed jobs."""
    command.write("s.toml", sweep("d", 3, duration_secs=0.01))
    command.run("run", "s.toml")
    text = sweep("d", 2, duration_secs=0.02) + (
        '[[jobs]]\nname = "new"\nactor = "orchestrator/simulated"\n'
    )
    command.write("s.toml", text)
    diff = command.run("plan", "s.toml", "--diff", "d", "--json").json["diff"]
    assert (diff["added"], diff["changed"], diff["removed"]) == (
        ["new"], ["job-1", "job-2"], ["job-3"],
    )  # fmt: skip
    shown = command.run("plan", "s.toml", "--diff", "d", "--select", "name:new").out
    assert "removed: 3 (job-1, job-2, job-3)" in shown


def test_plan_counts_the_dear_job_among_free_ones(command: Command) -> None:
    """A job costs what its own last run did, also if most runs of its Actor cost nothing."""
    jobs = "".join(
        f'[[jobs]]\nname = "job-{number}"\nactor = "orchestrator/simulated"\n'
        f"input = {{ cost_usd = {cost}, duration_secs = 0.01 }}\n"
        for number, cost in enumerate([0, 0, 0, 5])
    )
    command.write("s.toml", f'[batch]\nname = "p"\n{jobs}')
    assert command.run("run", "s.toml").code == 0
    plan = command.run("plan", "s.toml", "--json").json
    assert plan["cost_usd"] == {"low": 5.0, "likely": 5.0, "high": 5.0}


@pytest.mark.parametrize(
    ("job", "given"),
    [
        ("retries = 1", {"outcome": "FAILED"}),
        ("retries = 1", {"fail_attempts": 1}),
        ('rules = [{ do = "resurrect", max = 2 }]', {"outcome": "FAILED"}),
        ("expect = { min_items = 2 }\nretries = 1", {"items": 1}),
    ],
    ids=["failed", "failed once", "resurrected", "rejected"],
)
def test_plan_counts_the_cost_of_all_attempts(
    command: Command, job: str, given: dict[str, Any]
) -> None:
    """A job costs what all of its runs did in the last batch, whether it succeeded or not."""
    command.write("s.toml", sweep("p", 1, job=job, duration_secs=0.01, cost_usd=0.5, **given))
    done = command.run("run", "s.toml", "--json").json
    assert done["attempts"] == 2
    plan = command.run("plan", "s.toml", "--json").json
    assert plan["cost_usd"]["likely"] == pytest.approx(done["cost_usd"])


def test_plan_costs_jobs_of_items_like_those_of_their_table(command: Command) -> None:
    """They may cost far less than the jobs whose items they are made of."""
    text = sweep("p", 2, duration_secs=0.01, items=4, cost_usd=0.5) + (
        '[[jobs]]\nname = "item-{{ source }}-{{ i }}"\nactor = "orchestrator/simulated"\n'
        "input = { duration_secs = 0.01, cost_usd = 0.01 }\n"
        '[jobs.matrix]\nrows = { needs = "job-*", fields = { i = "index" } }\n'
    )
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json").json
    plan = command.run("plan", "s.toml", "--json").json
    assert [round(plan["cost_usd"][name], 6) for name in ("low", "likely", "high")] == [1.08] * 3
    assert round(done["cost_usd"], 6) == 1.08


def test_plan_compares_jobs_of_items(command: Command) -> None:
    """Jobs of items that the spec still makes are not removed; those it makes anew are changed."""
    text = sweep("p", 2, duration_secs=0.01, items=2) + (
        '[[jobs]]\nname = "item-{{ source }}-{{ i }}"\nactor = "orchestrator/simulated"\n'
        "input = { duration_secs = 0.01 }\n"
        '[jobs.matrix]\nrows = { needs = "job-*", fields = { i = "index" } }\n'
    )
    command.write("s.toml", text)
    assert command.run("run", "s.toml").code == 0
    same = command.run("plan", "s.toml", "--diff", "p", "--json").json["diff"]
    assert (same["added"], same["changed"], same["removed"]) == ([], [], [])
    command.write("s.toml", text.replace("n = { range = [1, 2] }", "n = [1]"))
    less = command.run("plan", "s.toml", "--diff", "p", "--json").json["diff"]
    assert (less["changed"], less["removed"]) == ([], ["job-2"])
    command.write("s.toml", text.replace("input = { duration_secs = 0.01 }", "input = {}"))
    other = command.run("plan", "s.toml", "--diff", "p", "--json").json["diff"]
    assert sorted(other["changed"]) == [f"item-job-{n}-{i}" for n in (1, 2) for i in (0, 1)]


def test_plan_learns_nothing_from_the_local_platform(command: Command) -> None:
    """A trial with --local is another series: its free runs and results say nothing of the rest."""
    text = sweep("p", 2, job='reuse = "1h"', duration_secs=0.01, cost_usd=0.5, items=1)
    command.write("s.toml", text)
    assert command.run("run", "s.toml", "--local").code == 0
    plan = command.run("plan", "s.toml", "--json").json
    assert (plan["reused"], plan["runs"], plan["cost_usd"]) == (0, 2, None)
    assert command.run("run", "s.toml", "--json").json["runs"] == plan["runs"]


def test_plan_counts_no_runs_of_jobs_that_reuse_results(command: Command) -> None:
    """They cost nothing; the same job with older results, or without its files, runs again."""
    text = sweep("p", 4, job='reuse = "1h"', duration_secs=0.01, cost_usd=0.5, items=1)
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    command.write("s.toml", text.replace("[1, 4]", "[1, 6]"))
    plan = command.run("plan", "s.toml", "--json").json
    assert (plan["jobs"], plan["reused"], plan["runs"], plan["runs_most"]) == (6, 4, 2, 2)
    assert plan["cost_usd"] == {"low": 1.0, "likely": 1.0, "high": 1.0}
    said = command.run("plan", "s.toml").out
    assert said.startswith("p: 6 jobs, 4 of them reused, at most 2 runs\n")
    (command.folder / done.json["folder"] / "jobs/job-1/items.jsonl").unlink()
    assert command.run("plan", "s.toml", "--json").json["reused"] == 3
    assert command.run("run", "s.toml", "--json").json["reused"] == 3
    command.write("s.toml", text.replace('"1h"', '"1s"'))
    time.sleep(1)
    assert command.run("plan", "s.toml", "--json").json["reused"] == 0
