"""Records that stay true: later commands do not change the figures of a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, sweep

KEPT = ("started_at", "finished_at", "duration_secs", "active_secs", "exit_code", "state")


def figures(command: Command) -> dict[str, Any]:
    """The figures of the end of the batch in `status` and `summary.json`."""
    shown = command.run("status", "sweep", "--json").json
    written = json.loads((command.folder / shown["folder"] / "summary.json").read_text())
    assert {name: written[name] for name in KEPT} == {name: shown[name] for name in KEPT}
    return {name: shown[name] for name in KEPT}


@pytest.mark.parametrize(
    "words",
    [
        ["resume", "sweep"],
        ["abort", "sweep"],
        ["collect", "sweep"],
        ["retry", "sweep"],
        ["report", "sweep"],
        ["run", "s.toml", "--resume"],
    ],
    ids=" ".join,
)
def test_command_with_nothing_to_do_changes_no_figure(
    command: Command, words: Sequence[str]
) -> None:
    """Start, end, duration and exit code of an ended batch stay the same."""
    command.write("s.toml", sweep(jobs=2, duration_secs=0.01, items=1))
    command.run("run", "s.toml", "--resume")
    before = figures(command)
    command.run(*words)
    assert figures(command) == before


@pytest.mark.parametrize("word", ["resume", "abort"])
def test_stopped_batch_keeps_its_end_when_nothing_more_happens(command: Command, word: str) -> None:
    """A batch without money for its next job has the same end after another call."""
    budget = "max_cost_usd = 0.01"
    job = "max_total_charge_usd = 0.01"
    command.write("s.toml", sweep(jobs=2, batch=budget, job=job, duration_secs=0.01, cost_usd=0.01))
    stopped = command.run("run", "s.toml", "--json")
    assert (stopped.code, stopped.json["jobs"]["SUCCEEDED"]) == (3, 1), stopped.err
    before = figures(command)
    command.run(word, "sweep")
    after = figures(command)
    assert after == before


def test_batch_records_what_triggered_it(command: Command) -> None:
    """The first call is recorded; later ones are counted."""
    command.write("s.toml", sweep(jobs=1, duration_secs=0.01, outcome="FAILED"))
    nightly = Command(
        folder=command.folder, variables={**command.variables, "ORCHESTRATOR_TRIGGER": "cron"}
    )
    ran = nightly.run("run", "s.toml", "--resume", "--json")
    assert (ran.json["triggered_by"], ran.json["caller"]) == ("run --resume", "cron")
    again = command.run("retry", "sweep", "--json")
    assert (again.json["caller"], again.json["calls"]) == ("cron", 2)


def test_each_attempt_keeps_its_run_and_its_log(command: Command) -> None:
    """Runs of `retry` and `retries` replace no record of earlier attempts."""
    command.write(
        "s.toml",
        sweep(
            jobs=1,
            job="retries = 1\ncollect = { log = true }",
            duration_secs=0.01,
            outcome="FAILED",
        ),
    )
    command.run("run", "s.toml")
    folder = Path(command.run("retry", "sweep", "--json").json["folder"]) / "jobs/job-1"
    runs = [json.loads((folder / f"attempts/{n}/run.json").read_text())["id"] for n in (1, 2, 3)]
    assert len(set(runs)) == 3
    assert json.loads((folder / "run.json").read_text())["id"] == runs[-1]
    assert all((folder / f"attempts/{n}/log.txt").stat().st_size for n in (1, 2, 3))
    (folder / "run.json").unlink()
    command.run("collect", "sweep")
    assert json.loads((folder / "run.json").read_text())["id"] == runs[-1]
    assert command.run("verify", "sweep").code == 0


def test_job_with_one_attempt_has_no_folder_of_attempts(command: Command) -> None:
    """The usual job has its files once."""
    command.write("s.toml", sweep(jobs=1, duration_secs=0.01, items=1))
    folder = Path(command.run("run", "s.toml", "--json").json["folder"])
    assert not (folder / "jobs/job-1/attempts").exists()
