from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Command, sweep, wait_until


def grown(folder: Path) -> list[int]:
    return [path.read_bytes().count(b"\n") for path in folder.glob(".items.jsonl.*.part")]


def test_items_are_on_disk_while_the_run_is_live(command: Command) -> None:
    """They grow in the part file, and are whole and counted once at the end."""
    job = "collect = { live = true }"
    text = sweep("live", 1, job=job, duration_secs=8, items=40, push_interval_secs=0.1)
    command.write("s.toml", text)
    process = command.start("run", "s.toml", "--json")
    folder = command.folder / "output" / "live" / "latest" / "jobs" / "job-1"
    wait_until(lambda: any(grown(folder)), "some items", 20)
    assert not (folder / "items.jsonl").exists()
    (count,) = grown(folder)
    assert 0 < count <= 40
    out, err = process.communicate()
    assert process.code == 0, err
    lines = (folder / "items.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(40))
    assert json.loads(out)["items"] == 40
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert command.run("verify", "live").code == 0


def test_partial_results_of_an_aborted_run_are_kept(command: Command, tmp_path: Path) -> None:
    """The items so far are on disk, and the line of the job says how its run ended."""
    text = sweep(
        "partly", 1, batch="deadline_secs = 5", job="collect = { live = true }",
        duration_secs=60, items=600, push_interval_secs=0.1,
    )  # fmt: skip
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3
    (row,) = [
        json.loads(line)
        for line in (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    ]
    assert (row["status"], row["run_status"]) == ("ABORTED", "ABORTED")
    assert row["items"] > 10


@pytest.mark.parametrize(
    ("collect", "message"),
    [
        ("live = true, clean = true", 'needs items = "jsonl" without filters'),
        ('live = true, format = "csv"', 'needs items = "jsonl" without filters'),
    ],
)
def test_live_items_need_plain_lines(command: Command, collect: str, message: str) -> None:
    """A file that cannot be cut between two items cannot grow."""
    command.write("s.toml", sweep(job=f"collect = {{ {collect} }}"))
    done = command.run("validate", "s.toml")
    assert (done.code, message in done.err) == (2, True), done.err
