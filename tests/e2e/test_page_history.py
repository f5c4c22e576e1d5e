"""What the page of a batch shows of earlier ones, also if one of them cannot be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.trend import Trend
from orchestrator.ledger import BatchLock
from orchestrator.ledger.known_batches import read_batch
from tests.support.command import Command, sweep
from tests.support.finished_batches import Made, many_jobs, write_batch
from tests.support.report_page import write_page


def test_broken_batch_in_the_history_is_a_warning_on_the_page(command: Command) -> None:
    """For a torn ledger and a foreign file, there is one sentence each; the batch succeeds."""
    command.write("s.toml", sweep("again", 2, duration_secs=0.01))
    torn = Path(command.run("run", "s.toml", "--json").json["folder"])
    (torn / "ledger.sqlite").write_bytes(b"not a ledger")
    whole = Path(command.run("run", "s.toml", "--json").json["folder"])
    done = command.run("run", "s.toml", "--json")
    assert done.code == 0
    page = (Path(done.json["folder"]) / "report.html").read_text()
    assert f"{torn.name} is not compared" in page
    assert "This batch and 1 of its series before it" in page
    assert whole.name in page


def test_ledger_with_damaged_pages_in_the_history_is_a_warning(tmp_path: Path) -> None:
    """A ledger that opens and is damaged inside is omitted, with its folder and the reason."""
    damaged = write_batch(tmp_path, many_jobs(200), number=1) / "ledger.sqlite"
    content = bytearray(damaged.read_bytes())
    content[3 * 4096 :] = b"\xff" * (len(content) - 3 * 4096)
    damaged.write_bytes(content)
    folder = write_batch(tmp_path, many_jobs(20), number=2)
    page = write_page(folder).read_text()
    assert f"{damaged.parent.name} is not compared" in page
    assert "Against earlier batches" not in page


def test_batch_of_a_newer_version_in_the_history_is_a_warning(tmp_path: Path) -> None:
    """A ledger of an unknown version is named, and stays unchanged."""
    newer = write_batch(tmp_path, many_jobs(5), number=1)
    with closing(sqlite3.connect(newer / "ledger.sqlite")) as db, db:
        db.execute("PRAGMA user_version = 99")
    page = write_page(write_batch(tmp_path, many_jobs(5), number=2)).read_text()
    assert f"{newer.name} is not compared" in page
    assert "newer version" in page


def test_batch_of_an_older_version_in_the_history_is_compared(tmp_path: Path) -> None:
    """A ledger without the current tables is read from a copy; the file is not changed."""
    older = write_batch(tmp_path, many_jobs(5), number=1)
    with closing(sqlite3.connect(older / "ledger.sqlite")) as db, db:
        later = ("calls", "log_ends", "expansions", "distinct_rows")
        db.executescript("".join(f"DROP TABLE {name};" for name in later))
        db.execute("PRAGMA user_version = 3")
        columns = [row[1] for row in db.execute("PRAGMA table_info(batch)")]
        for column in columns[columns.index("completed_at") + 1 :]:
            db.execute(f"ALTER TABLE batch DROP COLUMN {column}")
    before = (older / "ledger.sqlite").read_bytes()
    page = write_page(write_batch(tmp_path, many_jobs(5), number=2)).read_text()
    assert "This batch and 1 of its series before it" in page
    assert "is not compared" not in page
    assert (older / "ledger.sqlite").read_bytes() == before


def test_usual_cost_of_a_job_is_that_of_all_its_runs(tmp_path: Path) -> None:
    """A job that fails once each night is not dearer than usual."""
    twice = [Made(key="a", runs=({"cost_usd": "1"}, {"cost_usd": "1.5"}))]
    write_batch(tmp_path, twice, number=1)
    folder = write_batch(tmp_path, twice, number=2)
    usual = Trend(folder, read_batch(folder / LEDGER)).usual.get("a")
    assert usual is not None
    assert usual.cost_usd == 2.5


def test_summary_of_another_end_is_not_used(tmp_path: Path) -> None:
    """Figures come from the ledger if the summary is damaged, or of an earlier end."""
    earlier = write_batch(tmp_path, many_jobs(4, failing_every=9), number=1)
    write_page(earlier)
    folder = write_batch(tmp_path, many_jobs(4, failing_every=9), number=2)
    items = sum(100 + (seq * 31) % 900 for seq in range(4))
    for content in ('{"id": "another"}', "[]", "{", "{}"):
        (earlier / "summary.json").write_text(content)
        assert f"usually {items:,}" in write_page(folder).read_text()


def test_report_of_a_live_batch_says_that_it_runs(tmp_path: Path) -> None:
    """A report that is written while a process runs the batch is not one of an interruption."""
    made = [Made(key="done"), Made(key="waits", status="WAITING", runs=[])]
    folder = write_batch(tmp_path, made, state="open", ended_at=None, exit_code=None)
    assert "Interrupted: 1 of 2 jobs done" in write_page(folder).read_text()
    with BatchLock(folder, "run"):
        page = write_page(folder).read_text()
    assert "Running: 1 of 2 jobs done" in page
    assert "orchestrator resume" not in page


def test_batches_are_compared_by_their_active_time(tmp_path: Path) -> None:
    """Hours between an interruption and its resume do not count, in any batch."""
    for number in (1, 2):
        folder = write_batch(tmp_path, many_jobs(3), number=number)
        with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
            began_at = datetime.fromisoformat(
                db.execute("SELECT began_at FROM calls").fetchone()[0]
            )
            for hours in (0, 5):
                began, seen = (began_at + timedelta(hours=hours, minutes=at) for at in (0, 2))
                values = ["run", "", began.isoformat(), seen.isoformat()]
                db.execute("INSERT INTO calls VALUES (NULL, ?, ?, ?, ?)", values)
            db.execute("DELETE FROM calls WHERE number = 1")
            db.execute("UPDATE batch SET ended_at = ?", [seen.isoformat()])
        page = write_page(folder).read_text()
    assert "5:02:00" in page
    assert "0:04:00 of it active, in 2 calls" in page
    assert '<span>time</span> <b>0:04:00</b> <span class="quiet">usually 0:04:00</span>' in page
