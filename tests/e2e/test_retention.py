from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.ledger import BatchLock
from tests.support.command import Command, sweep


def spec(retention: str, jobs: int = 1, **given: object) -> str:
    """A spec of simulated jobs with a `[retention]` table."""
    text = sweep("kept", jobs, **{"duration_secs": 0.01, "items": 1, **given})  # type: ignore[arg-type]
    return f"{text}\n[retention]\n{retention}\n"


def run(command: Command, *words: str) -> Path:
    """Runs the spec, and returns the folder of its batch."""
    return Path(command.run("run", "s.toml", "--json", *words).json["folder"])


def change(folder: Path, sql: str) -> None:
    """Changes the ledger of a batch."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db, db:
        db.execute(sql)


def events(folder: Path, name: str) -> list[dict]:
    """The events of one name in the log of a batch."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == name]


def test_retention_keeps_the_newest_of_the_series(command: Command) -> None:
    """A batch that has ended removes older ones of its series, and none of another series."""
    command.write("s.toml", spec("keep_last = 2"))
    other = run(command, "--limit", "1")
    folders = [run(command) for _ in range(3)]
    assert [folder.exists() for folder in (other, *folders)] == [True, False, True, True]
    assert [one["batch"] for one in events(folders[2], "batch_pruned")] == [folders[0].name]
    assert (other.parent / "latest").resolve() == folders[2]


def test_retention_keeps_batches_with_data_only_on_the_platform(command: Command) -> None:
    """An interrupted batch, or one without all its data on disk, is never removed."""
    command.write("s.toml", spec("keep_last = 1"))
    interrupted = run(command)
    change(interrupted, "UPDATE batch SET state = 'stopped', stop_kind = 'Interrupted'")
    uncollected = run(command)
    change(uncollected, "UPDATE attempts SET sha256 = NULL")
    ended = run(command)
    last = run(command)
    kept = [folder.exists() for folder in (interrupted, uncollected, ended, last)]
    assert kept == [True, True, False, True]
    reasons = {one["batch"]: one["reason"] for one in events(last, "batch_not_pruned")}
    assert reasons[interrupted.name] == "it has not ended"
    assert "the data of 1 runs is not on disk" in reasons[uncollected.name]


def test_retention_keeps_a_batch_that_a_process_holds(command: Command) -> None:
    """A batch in use stays, and the batch that has ended keeps its exit code."""
    command.write("s.toml", spec("keep_last = 1"))
    held = run(command)
    with BatchLock(held):
        done = command.run("run", "s.toml", "--json", "--concurrent")
    assert (done.code, held.exists()) == (0, True)
    (event,) = events(Path(done.json["folder"]), "batch_not_pruned")
    assert event["reason"] == "a process holds it"


def test_retention_waits_for_a_batch_that_ends(command: Command) -> None:
    """A batch that stopped early removes nothing; one with failed jobs has ended, and does."""
    command.write("s.toml", spec("keep_last = 1"))
    first = run(command)
    limits = "stop_after_failures = 1\nmax_runs = 1"
    command.write("s.toml", spec("keep_last = 1", 3, batch=limits, outcome="FAILED"))
    stopped = command.run("run", "s.toml", "--json")
    assert (stopped.code, first.exists()) == (3, True)
    command.write("s.toml", spec("keep_last = 1", outcome="FAILED"))
    failed = command.run("run", "s.toml", "--json")
    assert (failed.code, first.exists()) == (1, False)


def test_retention_keeps_young_batches(command: Command) -> None:
    """With both limits, a batch stays if one of them keeps it."""
    command.write("s.toml", spec("keep_last = 1\nkeep_days = 10"))
    old, young = run(command), run(command)
    change(old, "UPDATE batch SET ended_at = '2020-01-01T00:00:00.000000Z'")
    run(command)
    assert [folder.exists() for folder in (old, young)] == [False, True]


def test_dry_run_of_prune_shows_sizes(command: Command) -> None:
    """Before a removal, a user sees how much space it frees."""
    command.write("s.toml", sweep("kept", 1, duration_secs=0.01, items=1))
    folders = [run(command) for _ in range(3)]
    size_bytes = sum(path.lstat().st_size for path in folders[0].rglob("*") if path.is_file())
    dry = command.run("prune", "kept", "--keep-last", "2", "--dry-run", "--json").json
    assert dry["bytes"] == {str(folders[0].relative_to(command.folder)): size_bytes}
    text = command.run("prune", "kept", "--keep-last", "1", "--dry-run").out
    assert f"({size_bytes / 1000:.1f} kB)" in text
    assert "would remove 2 batches, " in text
    assert all(folder.exists() for folder in folders)
