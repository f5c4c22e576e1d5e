"""A new batch beside an earlier one that was killed while its runs were live."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until


@pytest.fixture
def killed(command: Command, platform: ServedPlatform) -> Path:
    """The folder of a batch whose process was killed; its two runs are live for two minutes."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=120))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 2, "both runs")
    shown = '"RUNNING": 2'
    wait_until(lambda: shown in command.run("status", "sweep", "--json").out, "their ids")
    process.kill()
    process.communicate()
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0))
    return latest.readlink()


def test_run_names_the_live_runs_of_a_killed_batch(command: Command, killed: Path) -> None:
    """A user who calls `run` again, not `resume`, learns that the earlier runs cost money."""
    done = command.run("run", "sweep.toml")
    assert done.code == 0
    folder = f"output/sweep/{killed.name}"
    assert (
        f"{folder}: 2 of its runs are live and cost money: `orchestrator resume {folder}` "
        f"continues with them, `orchestrator abort {folder}` aborts them\n"
    ) in done.err


def test_run_does_not_name_runs_that_have_ended(
    command: Command, platform: ServedPlatform, killed: Path
) -> None:
    """The ledger of a killed batch shows its runs as live, but the platform knows better."""
    folder = command.folder / "output/sweep" / killed
    for run in platform.runs_of(folder):
        platform.post(f"/actor-runs/{run['id']}/abort", None)
    wait_until(lambda: {one["status"] for one in platform.runs_of(folder)} == {"ABORTED"}, "an end")
    done = command.run("run", "sweep.toml")
    assert done.code == 0
    assert "cost money" not in done.err
