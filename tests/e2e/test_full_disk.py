"""A disk that fills up during a batch: the batch stops, says so, and can be resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command, Done, ServedPlatform, sweep

SMALL_FILES = "tests.support.small_files:main_with_small_files"


def has_namespaces() -> bool:
    """Whether this user may mount a file system that no other process sees."""
    words = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(words).returncode == 0


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


def test_batches_can_be_read_on_a_full_disk(command: Command, platform: ServedPlatform) -> None:
    """The morning after such a night begins with these commands."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0, items=1))
    assert command.run("run", "sweep.toml").code == 0
    status = on_small_disk(command, 20_000, "status", "sweep", "--json")
    assert status.json["jobs"]["SUCCEEDED"] == 3, status.err
    assert len(on_small_disk(command, 20_000, "list", "--json").json) == 1


@pytest.mark.skipif(not has_namespaces(), reason="needs to mount a file system of its own")
def test_disk_without_inodes_is_full(command: Command, platform: ServedPlatform) -> None:
    """SQLite says only that it cannot open the file that it would have to make."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=0, items=1))
    assert command.run("run", "sweep.toml").code == 0
    (command.folder / "small").mkdir()
    stopped = command.run_script(
        "unshare --map-root-user --mount sh -c '"
        "mount -t tmpfs -o nr_inodes=200 tmpfs small && cp -a output/sweep small && "
        "for i in $(seq 200); do true > small/$i; done 2> /dev/null; "
        f"exec {sys.executable} -m orchestrator resume sweep --output small'"
    )
    assert stopped.code == 3, stopped.err
    assert "ledger.sqlite: the disk is full: make room" in stopped.err
