"""`status` of a batch that runs: one look at what `watch` shows."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from orchestrator.ledger import BatchLock, create_ledger
from tests.support.builders import make_batch, make_job
from tests.support.command import Command, Done, ServedPlatform, sweep, wait_until

MOST_CPU_SECS = 0.15
"""For a look after the imports of its command, which take a third of a second more."""
TRIES = 20
"""Other processes on the same cores make each of them dearer."""
RUNNING = (
    '[[jobs]]\nname = "long"\nactor = "orchestrator/simulated"\ninput = { duration_secs = 3600 }\n'
)


def test_status_of_a_running_batch_is_one_look(command: Command, platform: ServedPlatform) -> None:
    """It shows the shares, the runs in progress and the failures on stdout."""
    failing = sweep(jobs=2, duration_secs=0.01, outcome="FAILED", status_message="no such shop")
    command.write("s.toml", failing + RUNNING)
    run = command.start("run", "s.toml")
    wait_until(lambda: "2 failed" in command.run("status", "sweep").out, "two failures")
    shown = command.run("status", "sweep")
    live = command.run("status", "sweep", "--json").json["live"]
    run.terminate()
    run.communicate()
    assert (shown.code, shown.err) == (0, "")
    assert "0 succeeded · 2 failed · 1 running\n" in shown.out
    # The log may have been read by now.
    block = "\n\n2 jobs FAILED: actor orchestrator/simulated, exit code 1\n    no such shop\n"
    assert block in shown.out
    assert re.search(r"    example: job-[12]\n$", shown.out)
    assert [(one["key"], one["usual_secs"]) for one in live["runs"]] == [("long", None)]
    assert (live["running"], live["waiting"]) == (1, 0)


def test_status_of_ten_thousand_jobs_answers_at_once(tmp_path: Path) -> None:
    """One look at a large batch that runs takes 0.15 s of a processor, after its imports."""
    folder = tmp_path / "output" / "nightly" / make_batch().id
    folder.mkdir(parents=True)
    make_large_ledger(folder / "ledger.sqlite", 10_000)
    command = Command(folder=tmp_path)
    with BatchLock(folder, "run"):
        looks = (command.run("status", "nightly") for _ in range(TRIES))
        assert any(cpu_secs(look) <= MOST_CPU_SECS for look in looks)


def make_large_ledger(path: Path, jobs: int) -> None:
    """A ledger in which one of five jobs has failed, and a process has recorded its progress."""
    batch = replace(make_batch(), platform="https://api.apify.com")
    create_ledger(path, batch, (make_job(seq) for seq in range(jobs)))
    progress = (
        '{"at": "2026-11-25T12:00:00Z", "began_at": "2026-11-25T12:00:00Z", "total": 10000, '
        '"settled": {"SUCCEEDED": 8000, "FAILED": 2000}}'
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, dataset_id, "
            "store_id, run_status, exit_code, started_at, finished_at, cost_usd, items, "
            "size_bytes, sha256) SELECT seq, 1, 'settled', 'x', '2026-11-25T12:00:00.000+00:00', "
            "'run' || seq, 'dataset' || seq, 'store' || seq, 'SUCCEEDED', seq % 5 = 0, "
            "'2026-11-25T12:00:00.000+00:00', '2026-11-25T12:01:00.000+00:00', '0.01', 10, 1000, "
            "'0' FROM jobs"
        )
        db.execute(
            "UPDATE jobs SET attempts = 1, status = CASE seq % 5 WHEN 0 THEN 'FAILED' ELSE "
            "'SUCCEEDED' END, error = CASE seq % 5 WHEN 0 THEN 'run run' || seq || "
            "' FAILED with exit code 1: page ' || seq || ' is away' END"
        )
        db.execute("UPDATE batch SET progress = ?", (progress,))


def cpu_secs(look: Done) -> float:
    """The processor time of a look that has shown the failures."""
    assert "2,000 jobs FAILED" in look.out, look.err
    return look.cpu_secs
