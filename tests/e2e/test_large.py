from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until

Faulty = Callable[..., tuple[Command, ServedPlatform]]


@pytest.mark.parametrize("collect", ["{}", "{ fields = ['index'] }"], ids=["plain", "filtered"])
def test_large_dataset_is_whole_and_in_order(faulty: Faulty, collect: str) -> None:
    """It is downloaded in ranges, some of which break."""
    command, _ = faulty(
        {"method": "GET", "path": "/items$", "do": "truncated", "nth": [1, 3]}, seed=2
    )
    command.write("s.toml", sweep("large", 1, job=f"collect = {collect}", items=60_000))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 60_000), done.err
    path = Path(done.json["folder"]) / "jobs" / "job-1" / "items.jsonl"
    with path.open() as file:
        assert [json.loads(line)["index"] for line in file] == list(range(60_000))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_next_process_continues_at_the_item_of_the_last_one(
    faulty: Faulty, how: signal.Signals
) -> None:
    """Items that are on disk are not downloaded a second time."""
    command, _ = faulty(
        {"method": "GET", "path": "/items$", "do": "slow-headers", "nth": [2], "secs": 30}
    )
    command.write("s.toml", sweep("large", 1, duration_secs=0, items=60_000))
    process = command.start("run", "s.toml")
    folder = command.folder / "output" / "large" / "latest" / "jobs" / "job-1"

    def first_range_is_there() -> bool:
        return any(path.stat().st_size > 200_000 for path in folder.glob(".items.jsonl.*.part"))

    wait_until(first_range_is_there, "the first range")
    process.send_signal(how)
    process.communicate()
    (part,) = folder.glob(".items.jsonl.*.part")
    lines = part.read_bytes().count(b"\n")
    assert lines >= 10_000
    with part.open("r+b") as file:
        # If this line is in the file at the end, it was not downloaded again.
        file.write(b'{"index":7,')
    done = command.run("resume", "large", "--json")
    assert (done.code, done.json["items"]) == (0, 60_000), done.err
    with (folder / "items.jsonl").open() as whole:
        first, *rest = whole
    assert first.startswith('{"index":7,')
    assert [json.loads(line)["index"] for line in rest] == list(range(1, 60_000))
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
