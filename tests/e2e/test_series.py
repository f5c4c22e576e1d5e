"""
What a call of `run --resume` does with the batches that exist already.

The spec is due once a year, so all calls of a test are for one occurrence. Tests create batches of
earlier occurrences by name.
"""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, Done, ServedPlatform, served_platform, sweep, wait_until

YEARLY = 'schedule = "@yearly"\ntimezone = "UTC"\nmax_runs = 2'
THIS_YEAR = datetime.now(UTC).year
LAST_YEAR = f"{THIS_YEAR - 1}-01-01"
CALL = ("run", "--resume", "s.toml")


class Years:
    """A spec in a folder with its own platform."""

    def __init__(self, folder: Path, platform: ServedPlatform) -> None:
        self.command = Command(folder=folder, variables=platform.variables())
        self.platform = platform

    def write(self, jobs: int = 1, batch: str = YEARLY, **work: Any) -> None:
        """Writes the spec; batches of earlier years can be resumed."""
        text = sweep(
            "year",
            jobs=jobs,
            batch=f'{batch}\nresume_within = "800d"',
            **{"duration_secs": 0, "items": 1, **work},
        )
        self.command.write("s.toml", text)

    def call(self, *words: str) -> Done:
        """Calls the command, as a supervisor does."""
        return self.command.run(*CALL, *words)

    @property
    def runs(self) -> int:
        """How many runs were started."""
        return len(self.platform.runs())

    @property
    def home(self) -> Path:
        """The folder of the batches."""
        return self.command.folder / "output" / "year"

    @property
    def years(self) -> list[int]:
        """The occurrences of all batches, the newest batch first."""
        found = self.command.run("list", "--json").json["batches"]
        return [int(batch["occurrence"][:4]) for batch in found]


@pytest.fixture
def years(tmp_path: Path) -> Iterator[Years]:
    """A platform for one test."""
    with served_platform(tmp_path / "platform") as platform:
        yield Years(tmp_path, platform)


def test_call_waits_for_a_live_batch_and_a_second_call_ends_with_4(years: Years) -> None:
    """An occurrence begins after the end of the one before; further calls are refused at once."""
    years.write(2, duration_secs=8)
    first = years.command.start(*CALL, "--date", LAST_YEAR)
    wait_until(lambda: years.runs >= 2, "the first batch")
    assert years.call("--date", LAST_YEAR).code == 4
    second = years.command.start(*CALL)
    _, err = second.communicate()
    first.communicate()
    assert (first.code, second.code) == (0, 0)
    assert "waiting for its end" in err
    assert (years.runs, years.years) == (4, [THIS_YEAR, THIS_YEAR - 1])


def test_second_call_of_a_waiting_occurrence_ends_with_4(years: Years) -> None:
    """While one call waits for an earlier batch, other calls of its occurrence are refused."""
    years.write(1, duration_secs=3600)
    first = years.command.start(*CALL, "--date", LAST_YEAR)
    wait_until(lambda: years.runs >= 1, "the first batch")
    second = years.command.start(*CALL)
    wait_until(lambda: "waiting for its end" in second.errors(), "the second call")
    assert years.call().code == 4
    second.send_signal(signal.SIGTERM)
    second.communicate()
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert (first.code, second.code, years.runs) == (143, 143, 1)


def test_call_ends_with_5_after_the_longest_wait(years: Years) -> None:
    """After `lock_wait_secs` the call ends with 5, and the next one serves its batch."""
    years.write(1, duration_secs=3600)
    first = years.command.start(*CALL, "--date", LAST_YEAR)
    wait_until(lambda: years.runs >= 1, "the first batch")
    variables = {**years.command.variables, "ORCHESTRATOR_LOCK_WAIT_SECS": "0.5"}
    done = replace(years.command, variables=variables).run(*CALL)
    assert done.code == 5, done.err
    assert years.years == [THIS_YEAR, THIS_YEAR - 1]
    first.send_signal(signal.SIGINT)
    first.communicate()
    left = years.command.run("list", "--json").json["batches"][0]
    assert (left["exit_code"], left["state"], left["runs"]) == (5, "stopped", 0)


def test_restart_serves_an_occurrence_after_the_platform_was_away(tmp_path: Path) -> None:
    """The call ends with 5 and a message; its batch serves the restart."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = ServedPlatform(url=f"http://127.0.0.1:{port}", token="made-up-token")
    years = Years(tmp_path, away)
    years.write(2)
    variables = {**years.command.variables, "ORCHESTRATOR_PLATFORM_AWAY_SECS": "1"}
    done = replace(years.command, variables=variables).run(*CALL)
    assert done.code == 5, done.err
    assert "platform not reached" in done.err
    (left,) = years.command.run("list", "--json").json["batches"]
    assert (left["state"], left["exit_code"], left["runs"]) == ("stopped", 5, 0)
    words = ("--port", str(port), "--token", "made-up-token")
    with served_platform(tmp_path / "platform", *words):
        done = years.call("--json")
        assert (done.code, done.json["id"], years.runs) == (0, left["id"], 2)


@pytest.mark.parametrize("what", ["latest-folder", "file", "broken", "foreign", "of-2040"])
def test_other_folders_do_not_stop_a_batch(years: Years, what: str) -> None:
    """A folder that is not a readable batch is skipped, with a warning, in every command."""
    years.write(1)
    when = "2040-01-01" if what == "of-2040" else LAST_YEAR
    assert years.command.run("run", "s.toml", "--date", when).code == 0
    first = (years.home / "latest").resolve()
    name = first.name
    match what:
        case "latest-folder":
            (years.home / "latest").unlink()
            shutil.copytree(first, years.home / "latest")
            name = "latest"
        case "file":
            (years.home / "notes.txt").write_text("mine")
            name = "notes.txt"
        case "broken":
            (first / "ledger.sqlite").write_bytes(b"not a ledger")
            # Unreadable and newer than the occurrence, it might be the batch that is needed.
            first.rename(first.with_name(f"{THIS_YEAR - 1}0101T000000Z-000aaaa"))
            name = f"{THIS_YEAR - 1}0101T000000Z-000aaaa"
        case "foreign":
            (years.home / "data").mkdir()
            name = "data"
    done = years.call()
    assert done.code == 0, done.err
    assert name in done.err
    assert name in years.command.run("status", "year").err
    assert years.runs == 2


def test_unreadable_batch_of_the_occurrence_is_not_paid_again(years: Years) -> None:
    """The call ends with 2 and says what to do."""
    years.write(1)
    years.call()
    ledger = years.home / "latest" / "ledger.sqlite"
    ledger.resolve().write_bytes(b"not a ledger")
    done = years.call()
    assert (done.code, years.runs) == (2, 1)
    assert ledger.resolve().parent.name in done.err


def test_batch_killed_after_its_end_gets_reports_without_new_runs(years: Years) -> None:
    """The next call of the same occurrence writes the missing reports."""
    years.write(2)
    years.call()
    folder = (years.home / "latest").resolve()
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET completed_at = NULL")
    names = ("summary.json", "jobs.jsonl", "report.html")
    for name in names:
        (folder / name).unlink()
    done = years.call()
    assert (done.code, years.runs) == (0, 2)
    assert all((folder / name).exists() for name in names)


def test_commands_with_nothing_to_do_do_not_change_a_batch(years: Years) -> None:
    """`resume`, `abort` and `retry` of an ended batch change neither its times nor its code."""
    years.write(1, outcome="FAILED")
    before = years.call("--json").json
    for words in (("resume", "year"), ("abort", "year"), ("retry", "year", "--select", "name:x")):
        years.command.run(*words)
        after = years.command.run("status", "year", "--json").json
        for name in ("finished_at", "duration_secs", "exit_code", "state"):
            assert after[name] == before[name], words


def test_named_occurrence_is_served_once(years: Years) -> None:
    """`--occurrence` is a time, as Airflow passes it, `--date` a day; each is served once."""
    years.write(1)
    named = ("--occurrence", f"{THIS_YEAR - 1}-01-01T00:00:00+00:00")
    assert [years.call(*named).code, years.call(*named).code] == [0, 0]
    assert years.call("--date", LAST_YEAR).code == 0
    assert years.runs == 1
    assert years.call().code == 0
    assert years.years == [THIS_YEAR, THIS_YEAR - 1]


def test_calls_with_different_parameters_have_separate_batches(years: Years) -> None:
    """Each parameter value is a separate series."""
    years.write(1)
    spec = years.command.folder / "s.toml"
    spec.write_text(spec.read_text() + '\n[params]\ncountry = "us"\n')
    for country in ("us", "fr", "us"):
        assert years.call("--param", f"country={country}").code == 0
    assert years.runs == 2


def test_second_file_of_the_same_name_is_refused(years: Years) -> None:
    """Two files with one name would take turns for the same occurrence."""
    years.write(1)
    years.call()
    other = (years.command.folder / "s.toml").read_text().replace("items = 1", "items = 2")
    years.command.write("copy.toml", other)
    done = years.command.run("run", "--resume", "copy.toml")
    assert (done.code, years.runs) == (2, 1)
    assert "s.toml" in done.err
    assert "copy.toml" in done.err


def test_concurrent_beside_resume_is_refused(years: Years) -> None:
    """One means one batch for each occurrence, the other means a further batch."""
    years.write(1)
    assert (years.call("--concurrent").code, years.runs) == (2, 0)


def test_plain_run_beside_a_live_batch_of_its_series_ends_with_4(years: Years) -> None:
    """`--concurrent` starts a second one anyway."""
    years.write(1, duration_secs=8)
    first = years.command.start("run", "s.toml")
    wait_until(lambda: years.runs >= 1, "the first batch")
    held = years.command.run("run", "s.toml")
    assert (held.code, years.runs) == (4, 1)
    assert "--concurrent" in held.err
    second = years.command.run("run", "s.toml", "--concurrent")
    assert (second.code, years.runs) == (0, 2)
    first.communicate()


def test_batch_that_crashes_at_each_resume_is_left_after_two_occurrences(years: Years) -> None:
    """A message has the command that resumes it, and later occurrences do not wait for it."""
    years.write(1)
    years.command.run("run", "s.toml", "--date", LAST_YEAR)
    folder = (years.home / "latest").resolve()
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET state = 'open', exit_code = NULL, completed_at = NULL")
        for day in (1, 2):
            db.execute(
                "INSERT INTO later_resumes VALUES (?, '')", (f"2025-01-0{day}T00:00:00+00:00",)
            )
    done = years.call()
    assert done.code == 0
    assert f"orchestrator resume output/year/{folder.name}" in done.err


def test_number_decides_which_batch_is_newest(years: Years) -> None:
    """`prune` keeps the batch that was created last, even if a clock was wrong."""
    years.write(1)
    for _ in range(2):
        years.command.run("run", "s.toml")
    older, newer = sorted(path.name for path in years.home.iterdir() if path.name[0].isdigit())
    with closing(sqlite3.connect(years.home / older / "ledger.sqlite")) as db, db:
        db.execute("UPDATE batch SET number = 9")
    years.command.run("prune", "year", "--keep-last", "1")
    assert (years.home / older).exists()
    assert not (years.home / newer).exists()
