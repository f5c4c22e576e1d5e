from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.report.page.job_rows import NEAR_CAP
from tests.support.command import HURRIED, Command, Process, ServedPlatform, sweep, wait_until
from tests.support.report_page import FLAGS, data_in


@pytest.fixture
def command(command: Command) -> Command:
    """The command, for which costs are final after a second."""
    return with_settling(command, 1)


def spec(
    budget: float, *, jobs: int = 6, cost: float = 0.1, job: str = "", name: str = "money"
) -> str:
    batch = f"max_cost_usd = {budget}"
    return sweep(name, jobs, batch=batch, job=job, duration_secs=0.01, cost_usd=cost)


def spent(platform: ServedPlatform, folder: str) -> Decimal:
    runs = platform.runs_of(Path(folder))
    return sum((Decimal(str(run["usageTotalUsd"])) for run in runs), Decimal(0))


def test_batch_stops_before_it_can_exceed_its_budget(
    command: Command, platform: ServedPlatform
) -> None:
    """Runs start while spent and reserved money leave room; the rest can be resumed."""
    command.write("s.toml", spec(0.55, cost=0.2, job="max_total_charge_usd = 0.2"))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3, done.err
    assert (done.json["runs"], done.json["jobs"]["NOT-STARTED"]) == (2, 4)
    assert "the budget does not cover 4 jobs" in done.err
    # The batch keeps its copy of the spec, so the words name the option, too.
    assert "raise max_cost_usd in the spec, then resume it with: " in done.err
    assert " --accept-changes\n" in done.err
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
    """A run that costs less than its cap frees money when its cost is final."""
    job = "max_total_charge_usd = 0.3"
    command.write("s.toml", spec(0.5, jobs=3, cost=0.1, job=job))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["runs"]) == (0, 3), done.err


def test_job_without_a_cost_limit_is_refused_under_a_budget(
    command: Command, platform: ServedPlatform
) -> None:
    """Without a cap and an earlier run, the cost of a run is unknown: nothing starts."""
    platform.post("/actor-tasks", {"actId": "orchestrator~simulated", "name": "never-run"})
    command.write(
        "s.toml",
        '[batch]\nname = "b"\nmax_cost_usd = 1\n[[jobs]]\nname = "j"\ntask = "local/never-run"\n',
    )
    done = command.run("run", "s.toml")
    assert done.code == 2
    assert "set max_total_charge_usd" in done.err


def test_job_above_the_whole_budget_is_refused(command: Command) -> None:
    """A job that can never fit is an error at once."""
    command.write("s.toml", spec(0.5, job="max_total_charge_usd = 0.6"))
    done = command.run("run", "s.toml")
    assert done.code == 2
    assert "job-1: may cost $0.6000, and max_cost_usd is $0.5000" in done.err


def test_earlier_runs_replace_a_cap(command: Command, platform: ServedPlatform) -> None:
    """If earlier runs show what an Actor costs, memory and timeout limit the cost of the next."""
    command.write("first.toml", spec(1, jobs=1, job="max_total_charge_usd = 0.2", name="first"))
    command.run("run", "first.toml")
    command.write("s.toml", spec(10, jobs=2, job="memory_mbytes = 4096\ntimeout_secs = 3600"))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    (run, _) = platform.runs_of(Path(done.json["folder"]))
    assert platform.get(f"/actor-runs/{run['id']}")["options"]["maxTotalChargeUsd"] == 1.0


@pytest.mark.parametrize("ends", [signal.SIGKILL, signal.SIGTERM])
def test_budget_holds_across_restarts_with_late_costs(
    faulty: Callable[..., tuple[Command, ServedPlatform]], ends: signal.Signals
) -> None:
    """Costs that arrive seconds after the end let no restart start an additional run."""
    command, platform = faulty(usage_lag_secs=3.0)
    command = with_settling(command, 6)
    job = "max_total_charge_usd = 0.1"
    command.write("s.toml", spec(0.5, jobs=20, cost=0.1, job=job))
    latest = command.folder / "output" / "money" / "latest"
    words: list[str | Path] = ["run", "s.toml"]
    for _ in range(3):
        process = command.start(*words)
        wait_for_a_run(platform, process)
        process.send_signal(ends)
        process.communicate()
        words = ["resume", latest]
        if len(platform.runs()) == 5:
            break
    done = command.run("resume", latest, "--json")
    assert done.code == 3, done.err
    assert "the budget does not cover" in done.err
    assert len(platform.runs_of(latest)) == 5


def test_retry_obeys_the_rest_of_the_budget(command: Command, platform: ServedPlatform) -> None:
    """The budget holds for the batch, with all its `run`, `resume` and `retry` calls."""
    job = "max_total_charge_usd = 0.2"
    text = spec(0.5, jobs=2, cost=0.2, job=job).replace(
        "duration_secs = 0.01", 'duration_secs = 0.01, outcome = "FAILED"'
    )
    command.write("s.toml", text)
    assert command.run("run", "s.toml").code == 1
    done = command.run("retry", "money", "--json")
    assert done.code == 3, done.err
    assert len(platform.runs_of(command.folder / "output" / "money" / "latest")) == 2


FLOOR = {
    "do": "refuse",
    "method": "POST",
    "path": "/runs$",
    "cap_below": 0.5,
    "status": 400,
    "type": "max-total-charge-usd-below-minimum",
    "message": "Maximum cost per run is less than the allowed minimum of $0.50.",
}


def with_a_floor(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> tuple[Command, ServedPlatform]:
    """A platform whose Actor accepts no cap below half a dollar; earlier runs cost little."""
    command, platform = faulty(FLOOR)
    command.write("first.toml", sweep("first", 2, duration_secs=0.01, cost_usd=0.02))
    assert command.run("run", "first.toml").code == 0
    return with_settling(command, 1), platform


def test_our_cap_is_raised_to_the_smallest_of_the_actor(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """No job fails for a cap that the user never set; the refusal has the smallest one."""
    command, platform = with_a_floor(faulty)
    limits = "timeout_secs = 60\nmemory_mbytes = 512"
    command.write("s.toml", spec(5, jobs=12, cost=0.02, job=limits).replace(
        "[[jobs]]", "max_runs = 4\n[[jobs]]"))  # fmt: skip
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 12), done.err
    caps = {
        platform.get(f"/actor-runs/{run['id']}")["options"]["maxTotalChargeUsd"]
        for run in platform.runs_of(Path(done.json["folder"]))
    }
    assert caps == {0.5}


def test_our_cap_above_the_budget_stops_the_batch(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """If even one run at the smallest cap exceeds the budget, nothing fails: exit code 3."""
    command, _ = with_a_floor(faulty)
    command.write("s.toml", spec(0.4, job="timeout_secs = 60\nmemory_mbytes = 512", cost=0.02))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["jobs"]["NOT-STARTED"]) == (3, 6), done.err
    assert "may cost $0.5000 (a cap that we chose, because the spec gives no" in done.err


def test_cap_of_the_spec_is_sent_unchanged(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """The user's own cap is never raised: the platform's refusal is the job's outcome."""
    command, _ = with_a_floor(faulty)
    command.write("s.toml", spec(5, jobs=1, job="max_total_charge_usd = 0.1"))
    done = command.run("run", "s.toml")
    assert done.code == 1
    assert "less than the allowed minimum of $0.50" in done.err


def test_run_that_costs_as_much_as_our_cap_is_marked(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """A cap that the user never set may have cut it short: the last lines and report say so."""
    command, _ = faulty()
    command.write("first.toml", spec(1, jobs=1, job="max_total_charge_usd = 0.2", name="first"))
    command.run("run", "first.toml")
    command.write("s.toml", spec(10, jobs=2, cost=9, job="timeout_secs = 60\nmemory_mbytes = 512"))
    done = command.run("run", "s.toml", "--json")
    assert done.json["near_cap"] == ["job-1", "job-2"]
    assert "job-1 and 1 more: the run cost $0.1500, close to the cap of $0.1500 that we" in done.err
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert "2 runs cost about as much as the cap that we chose for them" in page
    assert [row[FLAGS] & NEAR_CAP for row in data_in(page)["rows"]] == [NEAR_CAP] * 2


def test_plan_shows_the_cap_that_we_would_choose(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """`plan --online` shows the cap of each Actor's runs under a budget, and who set it."""
    command, _ = faulty()
    command.write("first.toml", spec(1, jobs=1, job="max_total_charge_usd = 0.2", name="first"))
    command.run("run", "first.toml")
    command.write("s.toml", spec(10, jobs=2, job="timeout_secs = 3600\nmemory_mbytes = 4096"))
    done = command.run("plan", "s.toml", "--online")
    assert "cap of each run of actor orchestrator/simulated: $1, chosen by us: max_cost" in done.out
    assert "4,096 MB for 3,600 s cost so much" in done.out


def wait_for_a_run(platform: ServedPlatform, process: Process) -> None:
    """Waits until a process has started a run, or ended."""
    before = len(platform.runs())
    wait_until(lambda: len(platform.runs()) > before or process.has_ended, "a run")


def with_settling(command: Command, secs: float) -> Command:
    """The command, for which costs are final after so many seconds."""
    variables = {**command.variables, "ORCHESTRATOR_COSTS_SETTLE_SECS": str(secs)}
    return replace(command, program=HURRIED, variables=variables)
