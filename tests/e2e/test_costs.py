"""Final costs of runs after the platform counts them, and results that it deletes soon."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.command import Command, sweep


@pytest.fixture
def folder(command: Command) -> Path:
    """A batch whose two runs cost 1 USD, of which 0.02 were known when they ended."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=0, items=3, cost_usd=0.5))
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["cost_usd"]) == (0, 1.0), done.err
    folder = Path(done.json["folder"])
    alter(folder, "UPDATE attempts SET cost_usd = '0.01'")
    return folder


def alter(folder: Path, *changes: str, ended: str = "") -> None:
    """Changes a ledger without the command."""
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
        for change in changes:
            db.execute(change, {"ended": ended})


def summary(folder: Path) -> dict[str, object]:
    """The contents of `summary.json`."""
    found = json.loads((folder / "summary.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", ["status", "report", "collect"])
def test_later_command_updates_the_costs(command: Command, folder: Path, name: str) -> None:
    """The costs that the platform knows now are shown, and written to the files."""
    assert command.run(name, "sweep").code == 0
    assert summary(folder)["cost_usd"] == 1.0
    assert command.run("status", "sweep", "--json").json["cost_usd"] == 1.0


def test_later_run_of_the_spec_updates_the_costs(command: Command, folder: Path) -> None:
    """The next batch makes the costs of the one before final."""
    assert command.run("run", "sweep.toml").code == 0
    assert summary(folder)["cost_usd"] == 1.0


def test_final_costs_are_not_requested_again(command: Command, folder: Path) -> None:
    """Long after the end, a cost is final and is not requested again."""
    alter(
        folder,
        "UPDATE attempts SET finished_at = '2026-01-01T00:00:00.000+00:00'",
        "UPDATE attempts SET cost_at = '2026-01-01T00:02:00.000+00:00'",
    )
    reported = command.run("status", "sweep", "--json").json
    assert (reported["cost_usd"], reported["cost_is_provisional"]) == (0.02, False)
    shown = command.run("status", "sweep").out
    assert "cost" in shown
    assert "provisional" not in shown


def test_status_needs_no_platform(command: Command, folder: Path) -> None:
    """Without one, the last known figures are shown as such."""
    away = Command(folder=command.folder, variables={"APIFY_API_BASE_URL": "http://127.0.0.1:9"})
    done = away.run("status", "sweep", "--json")
    assert (done.code, done.json["cost_usd"], done.json["cost_is_provisional"]) == (0, 0.02, True)
    assert "the cost may be out of date: there is no API token" in done.err
    tokened = Command(folder=command.folder, variables={**away.variables, "APIFY_TOKEN": "x"})
    done = tokened.run("status", "sweep")
    assert done.code == 0
    assert done.err.startswith("the cost may be out of date: no connection to 127.0.0.1:9")


def left_behind(folder: Path, *, days_ago: int) -> None:
    """Makes one result uncollected, of a run that ended days ago and is kept for 7 days."""
    ended = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="milliseconds")
    alter(
        folder,
        "UPDATE batch SET keeps_days = 7",
        "UPDATE attempts SET items = NULL, sha256 = NULL, finished_at = :ended WHERE job_seq = 1",
        "UPDATE jobs SET status = 'FAILED', error = 'the dataset was not to be had' WHERE seq = 1",
        ended=ended,
    )
    (folder / "jobs" / "job-2" / "items.jsonl").unlink()


def test_results_that_expire_soon_cause_a_warning(command: Command, folder: Path) -> None:
    """`status` says until when to download them, and how; after that, it says nothing."""
    left_behind(folder, days_ago=5)
    reported = command.run("status", "sweep", "--json").json
    assert reported["uncollected"] == 1
    until = datetime.fromisoformat(reported["results_expire_at"]) - datetime.now(UTC)
    assert timedelta(days=1.9) < until < timedelta(days=2)
    shown = command.run("status", "sweep").out
    assert "the results of 1 runs are not on disk, and the platform deletes them at 20" in shown
    assert "orchestrator collect output/sweep/" in shown
    assert command.run("collect", "sweep").code == 0
    assert "not on disk" not in command.run("status", "sweep").out
    assert command.run("status", "sweep", "--json").json["results_expire_at"] is None


def test_results_that_expire_later_cause_no_warning(command: Command, folder: Path) -> None:
    """There is no warning days ahead."""
    left_behind(folder, days_ago=3)
    assert "not on disk" not in command.run("status", "sweep").out


def test_run_warns_about_results_of_earlier_batches(command: Command, folder: Path) -> None:
    """A user who reads only the output of `run` sees the warning there."""
    left_behind(folder, days_ago=8)
    done = command.run("run", "sweep.toml")
    assert done.code == 0
    assert f"output/sweep/{folder.name}: the results of 1 runs are not on disk" in done.err
    assert "the platform may have deleted them at 20" in done.err


def test_days_that_results_are_kept_come_from_the_account(command: Command, folder: Path) -> None:
    """The days are those of the account, read before the first start."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        (days,) = db.execute("SELECT keeps_days FROM batch").fetchone()
    assert days is not None
    assert days > 0


def test_unreadable_earlier_batch_is_a_warning(command: Command, folder: Path) -> None:
    """A warning names it, and the new batch runs as if the earlier one were not there."""
    (folder / "ledger.sqlite").write_bytes(b"no ledger")
    done = command.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 2)
    assert f"{folder.name} reason=it cannot be read" in done.err
