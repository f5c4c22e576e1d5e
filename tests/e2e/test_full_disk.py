"""A disk that fills up during a batch: the batch stops, says so, and can be resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command, Done, ServedPlatform, sweep

SMALL_FILES = "tests.support.small_files:main_with_small_files"


def on_small_disk(command: Command, most: int, *words: str) -> Done:
    """Runs a command whose files cannot exceed `most` bytes."""
    return replace(command, program=SMALL_FILES).run(str(most), *words)


@pytest.mark.parametrize("most", [300_000, 350_000, 400_000])
def test_full_disk_under_the_ledger_stops_the_batch(
    command: Command, platform: ServedPlatform, most: int
) -> None:
    """If the ledger cannot grow, the exit code is 3; after a resume, nothing is there twice."""
    command.write("sweep.toml", sweep(jobs=150, batch="max_runs = 40", duration_secs=0, items=1))
    stopped = on_small_disk(command, most, "run", "sweep.toml")
    assert stopped.code == 3, stopped.err
    assert "the disk that holds the ledger is full: make room" in stopped.err
    assert "Traceback" not in stopped.err
    done = command.run("resume", "sweep", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"], done.json["items"]) == (0, 150, 150)
    assert len(platform.runs_of(Path(done.json["folder"]))) == 150


def test_full_disk_under_a_dataset_stops_the_batch(
    command: Command, platform: ServedPlatform
) -> None:
    """A dataset that does not fit is not a failure of its job; a resume downloads it whole."""
    item = {"n": "{{ n }}"}
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0, items=20_000, item=item))
    stopped = on_small_disk(command, 300_000, "run", "sweep.toml", "--json")
    assert stopped.code == 3, stopped.err
    assert "the disk is full: make room, then resume the batch" in stopped.err
    assert stopped.json["jobs"]["FAILED"] == 0
    folder = Path(stopped.json["folder"])
    assert list(folder.glob("jobs/*/items.jsonl")) == []
    assert json.loads((folder / "summary.json").read_text())["stop_kind"] == "DiskFull"
    # Its items are not all, so no other spec takes them for that.
    column = '{ results = "sweep", column = "n", distinct = true }'
    text = sweep("next", 1, duration_secs=0).replace("{ range = [1, 1] }", column)
    command.write("next.toml", text)
    refused = command.run("plan", "next.toml")
    assert (refused.code, "has not ended" in refused.err) == (2, True), refused.err
    done = command.run("resume", "sweep", "--json")
    assert (done.code, done.json["items"]) == (0, 60_000)
    assert len(platform.runs_of(folder)) == 3
    assert list(folder.glob("jobs/*/.*")) == []
    assert command.run("plan", "next.toml", "--json").json["jobs"] == 3


def test_disk_that_is_full_from_the_start_starts_nothing(
    command: Command, platform: ServedPlatform
) -> None:
    """Without room for the preparation there is no batch, and no run is paid for."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0, items=1))
    before = len(platform.runs())
    stopped = on_small_disk(command, 2_000, "run", "sweep.toml")
    assert stopped.code == 3, stopped.err
    assert "Traceback" not in stopped.err
    assert len(platform.runs()) == before
    assert list((command.folder).glob("output/sweep/*")) == []
