"""Complete results, on a platform that shows items and counts seconds after a run's end."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until

Faulty = Callable[..., tuple[Command, ServedPlatform]]
LAG_SECS = 2.0


def settling(command: Command, secs: float) -> Command:
    """The command; it waits that many seconds for the platform to count."""
    return replace(
        command, variables={**command.variables, "ORCHESTRATOR_COUNTS_SETTLE_SECS": f"{secs}"}
    )


def rows_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "jobs.jsonl").read_text().splitlines()]


def _finished(folder: Path) -> int:
    query = "SELECT COUNT(*) FROM attempts WHERE state = 'finished'"
    with closing(sqlite3.connect(f"file:{folder}/ledger.sqlite?mode=ro", uri=True)) as db:
        (count,) = db.execute(query).fetchone()
    return int(count)


@pytest.mark.parametrize(
    ("job", "name", "lines"),
    [
        ("", "items.jsonl", 100),
        ('mode = "sync"\ncollect = { output = false }', "items.jsonl", 100),
        ("collect = { live = true }", "items.jsonl", 100),
        ('collect = { format = "csv" }', "items.csv", 101),
        ('mode = "sync"\ncollect = { output = false, format = "csv" }', "items.csv", 101),
    ],
    ids=["async", "sync", "live", "csv", "sync csv"],
)
@pytest.mark.parametrize("fault", ["items_lag_secs", "total_lag_secs"])
def test_items_that_appear_after_the_end_are_collected(
    faulty: Faulty, job: str, name: str, lines: int, fault: str
) -> None:
    """Each job has all its items, is accepted by their number, runs once and is proven complete."""
    command, platform = faulty(**{fault: LAG_SECS})
    text = sweep("late", 5, job=f"expect = {{ min_items = 100 }}\n{job}", duration_secs=0.2,
                 items=100)  # fmt: skip
    command.write("s.toml", text)
    done = settling(command, LAG_SECS + 1).run("run", "s.toml", "--json")
    assert done.code == 0, done.err
    assert (done.json["items"], done.json["proven"], done.json["unproven"]) == (500, 5, {})
    assert len(platform.runs()) == 5
    for path in Path(done.json["folder"]).glob("jobs/*"):
        assert len((path / name).read_bytes().splitlines()) == lines
        assert [file.name for file in path.iterdir() if file.name.startswith(".")] == []
    assert {row["items"] for row in rows_of(done.json["folder"])} == {100}


def test_slot_is_free_while_the_platform_counts(faulty: Faulty) -> None:
    """Six runs with one slot do not wait for each other's proof."""
    command, _ = faulty()
    command.write("s.toml", sweep("slots", 6, batch="max_runs = 1", duration_secs=0.1, items=1))
    began_at = time.monotonic()
    done = settling(command, 4).run("run", "s.toml", "--json")
    assert (done.code, done.json["proven"]) == (0, 6)
    # One after the other, they would need the time of six.
    assert time.monotonic() - began_at < 4 * 6


def test_batch_that_ended_while_the_platform_counts_is_resumed(faulty: Faulty) -> None:
    """SIGTERM ends the command at once; resume collects the ended runs, and starts nothing."""
    command, platform = faulty(items_lag_secs=LAG_SECS)
    command.write("s.toml", sweep("left", 2, duration_secs=0.1, items=10))
    process = settling(command, 30).start("run", "s.toml")
    log = command.folder / "output" / "left" / "latest" / "log.jsonl"
    wait_until(lambda: log.exists() and log.read_text().count('"run_started"') == 2, "two runs")
    wait_until(lambda: _finished(log.parent) == 2, "their ends")
    began_at = time.monotonic()
    process.terminate()
    process.communicate()
    assert (process.code, time.monotonic() - began_at < 30) == (143, True)
    done = settling(command, LAG_SECS + 1).run("resume", "left", "--json")
    assert (done.code, done.json["items"], done.json["proven"]) == (0, 20, 2), done.err
    assert len(platform.runs()) == 2


def test_batch_that_was_collected_too_early_is_repaired(faulty: Faulty) -> None:
    """`verify --online` names what is missing, `collect` downloads it, and both agree then."""
    command, platform = faulty(items_lag_secs=LAG_SECS)
    command.write("s.toml", sweep("early", 3, duration_secs=0.1, items=100))
    done = settling(command, 0).run("run", "s.toml", "--json")
    assert (done.code, done.json["items"]) == (0, 150)
    assert command.run("verify", "early").code == 0
    dataset = platform.runs()[0]["defaultDatasetId"]
    shown = f"/datasets/{dataset}/items"
    wait_until(lambda: len(platform.get(shown)) == 100, "all items")
    found = settling(command, LAG_SECS).run("verify", "early", "--online", "--json")
    assert found.code == 1
    assert "the platform holds 100 items, and 50 were collected" in found.out
    assert len(found.json["wrong"]) == 3
    again = settling(command, LAG_SECS).run("collect", "early", "--json")
    assert (again.code, again.json["items"], again.json["proven"]) == (0, 300, 3), again.err
    assert len(again.json["fetched"]) == 3
    assert settling(command, LAG_SECS).run("verify", "early", "--online").code == 0
    assert settling(command, LAG_SECS).run("collect", "early", "--json").json["fetched"] == []
    assert len(platform.runs()) == 3
