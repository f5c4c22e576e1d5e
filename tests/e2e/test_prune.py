from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep


@pytest.fixture
def folders(command: Command) -> list[Path]:
    """Four batches of one name, the oldest first; the second one has not ended."""
    command.write("s.toml", sweep("old", 1, duration_secs=0.01, items=1))
    made = [Path(command.run("run", "s.toml", "--json").json["folder"]) for _ in range(4)]
    with sqlite3.connect(made[1] / "ledger.sqlite") as db:
        db.execute("UPDATE batch SET state = 'stopped'")
    db.close()
    return made


def test_prune_keeps_the_last_batches_and_unfinished_ones(
    command: Command, folders: list[Path]
) -> None:
    """Old batches are removed; an unfinished one is kept, and reported."""
    dry = command.run("prune", "old", "--keep-last", "1", "--dry-run", "--json").json
    assert all(folder.exists() for folder in folders)
    done = command.run("prune", "old", "--keep-last", "1", "--json").json
    assert done == dry
    assert [folder.exists() for folder in folders] == [False, True, False, True]
    assert done["kept"][0]["reason"] == "it has not ended"
    assert {path.name for path in folders[0].parent.glob(".*")} <= {".lock", ".number"}


def test_prune_keeps_young_batches(command: Command, folders: list[Path]) -> None:
    """Days count from a batch's end."""
    done = command.run("prune", "old", "--keep-days", "1", "--json").json
    assert done == {"removed": [], "kept": [], "bytes": {}}
    done = command.run("prune", "old", "--keep-days", "0", "--json").json
    assert len(done["removed"]) == 3
    assert not (folders[0].parent / "latest").exists() or (
        (folders[0].parent / "latest").resolve() == folders[1]
    )


@pytest.mark.parametrize("days", ["-5", "nan", "inf", "many"])
def test_prune_refuses_days_that_are_no_number_from_0(
    command: Command, folders: list[Path], days: str
) -> None:
    """A slip such as a minus sign removes nothing."""
    done = command.run("prune", "old", f"--keep-days={days}")
    assert (done.code, "argument --keep-days" in done.err) == (2, True)
    assert all(folder.exists() for folder in folders)


def test_prune_keeps_everything_for_any_number_of_days(
    command: Command, folders: list[Path]
) -> None:
    """Days beyond every calendar, in the command and in a spec, keep all batches."""
    done = command.run("prune", "old", "--keep-days", "1e12", "--json").json
    assert done["removed"] == []
    text = sweep("old", 1, duration_secs=0.01, items=1)
    command.write("s.toml", f"{text}\n[retention]\nkeep_days = 1e300\n")
    assert command.run("run", "s.toml").code == 0
    assert all(folder.exists() for folder in folders)


def test_prune_removes_folders_of_killed_preparations(
    command: Command, folders: list[Path]
) -> None:
    """Hidden folders that no process holds are deleted."""
    remains = folders[0].parent / ".20261125T000000Z-abcdef.new"
    remains.mkdir()
    (remains / "ledger.sqlite").write_text("half")
    command.run("prune", "old", "--keep-last", "9")
    assert not remains.exists()


def test_prune_deletes_storages_of_results_on_disk(
    command: Command, platform: ServedPlatform, folders: list[Path]
) -> None:
    """Only on request, and only if every file of the batch is as it was collected."""
    run, other = (json.loads((f / "jobs.jsonl").read_text()) for f in (folders[0], folders[2]))
    (folders[0] / "jobs" / "job-1" / "items.jsonl").unlink()
    done = command.run("prune", "old", "--keep-last", "1", "--delete-storages", "--json").json
    assert [folder.exists() for folder in folders] == [True, True, False, True]
    assert any("differ from what was collected" in kept["reason"] for kept in done["kept"])
    assert platform.get(f"/datasets/{run['dataset_id']}")["itemCount"] == 1
    with pytest.raises(AssertionError):
        platform.get(f"/datasets/{other['dataset_id']}")


def test_prune_keeps_storages_of_unproven_results(command: Command, folders: list[Path]) -> None:
    """The platform may have items that are not on disk."""
    with sqlite3.connect(folders[0] / "ledger.sqlite") as db:
        db.execute("UPDATE attempts SET proof = NULL")
    db.close()
    done = command.run("prune", "old", "--keep-last", "1", "--delete-storages", "--json").json
    assert [folder.exists() for folder in folders] == [True, True, False, True]
    assert any(
        "the platform may hold more than is on disk" in kept["reason"] for kept in done["kept"]
    )


def test_prune_needs_a_rule(command: Command, folders: list[Path]) -> None:
    """Without a rule for what to keep, nothing is removed."""
    done = command.run("prune", "old")
    assert (done.code, "say what to keep" in done.err) == (2, True)
    assert command.run("prune", "nobody", "--keep-last", "1").code == 2
    assert all(folder.exists() for folder in folders)
