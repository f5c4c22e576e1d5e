"""What a long history costs: commands beside one earlier batch, and beside hundreds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from bench.measuring import Place, measure, platform, workplace
from bench.resume import make_batch
from bench.startup import Times, until_request
from orchestrator.app.batch_folders import LEDGER, new_id
from orchestrator.app.latest_link import LATEST
from orchestrator.ledger import LedgerReader
from orchestrator.report.summary import summary_of

PLATFORM = {"APIFY_TOKEN": "none-needed", "APIFY_API_BASE_URL": "http://127.0.0.1:9"}
"""Where nothing listens: waits for the platform are not measured."""

ONE_JOB = """
[batch]
name = "bench"
[[jobs]]
name = "job-1"
actor = "orchestrator/simulated"
memory_mbytes = 128
input = { items = 1, duration_secs = 0.1 }
"""


def run(batches: int, jobs: int, rounds: int) -> str:
    """Measures each command and returns the figures as Markdown."""
    with workplace() as folder, platform(folder / "platform") as server:
        few, many = folder / "few", folder / "many"
        _make_history(few, 1, jobs)
        _make_history(many, batches, jobs)
        taken = {
            name: [(take(few), take(many)) for _ in range(rounds)]
            for name, take in (COMMANDS | {"a whole `run` of one job": _whole_run(server)}).items()
        }
    return "\n".join(
        [
            f"Batches of one name, {jobs:,} settled jobs each; median of {rounds} rounds.",
            "",
            f"| | beside 1, s | beside {batches}, s | more, s | more processor time, s |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(_row(name, pairs) for name, pairs in taken.items()),
        ]
    )


def _row(name: str, taken: list[tuple[Times, Times]]) -> str:
    """The medians, and that of the differences of each round: the machine's speed varies."""
    few, many = (statistics.median(both[place][1] for both in taken) for place in (0, 1))
    cpu, wall = (
        statistics.median(many[number] - few[number] for few, many in taken) for number in (0, 1)
    )
    return f"| {name} | {few:.2f} | {many:.2f} | {wall:.2f} | {cpu:.2f} |"


def _make_history(place: Path, batches: int, jobs: int) -> None:
    """One real batch that has ended, and copies of it, each a day later."""
    place.mkdir()
    first = make_batch(place, jobs, 0)
    home = first.parent
    (home / LATEST).unlink()
    now = datetime.now(UTC)
    for number in range(1, batches + 1):
        at = now - timedelta(days=batches - number + 1)
        folder = home / new_id(at)
        shutil.copytree(first, folder)
        with closing(sqlite3.connect(folder / LEDGER)) as db, db:
            db.execute(
                """
                UPDATE batch SET id = ?, number = ?, created_at = ?, occurrence = ?, ended_at = ?,
                    completed_at = ?, state = 'ended', exit_code = 0, platform = NULL
                """,
                (folder.name, number, *[at.isoformat()] * 4),
            )
        with LedgerReader(folder / LEDGER) as reader:
            summary = orjson.dumps(summary_of(reader.batch(), reader.totals()))
        (folder / "summary.json").write_bytes(summary)
        (home / LATEST).unlink(missing_ok=True)
        (home / LATEST).symlink_to(folder.name)
    shutil.rmtree(first)


def _command(*words: str) -> Callable[[Path], Times]:
    def take(place: Path) -> Times:
        output = ("--output", str(place / "output"))
        taken = measure([sys.executable, "-m", "orchestrator", *words, *output], PLATFORM)
        return taken.cpu_secs, taken.wall_secs

    return take


def _first_page(place: Path) -> Times:
    """From the start of `ui` until its first page has arrived."""
    began = time.perf_counter()
    words = ("ui", "--json", "--port", "0", "--output", str(place / "output"))
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            url = json.loads(lines.readline())["url"]
        # The first answer sets a cookie and redirects.
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(url, timeout=60) as page:
            assert b"bench" in page.read()
        secs = time.perf_counter() - began
    finally:
        process.terminate()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return used.ru_utime + used.ru_stime, secs


def _whole_run(server: Place) -> Callable[[Path], Times]:
    """A `run` of one job, to its end; ten seconds of its time are the wait for the run's items."""

    def take(place: Path) -> Times:
        spec = place / "one.toml"
        spec.write_text(ONE_JOB)
        words = ("run", str(spec), "--output", str(place / "output"))
        variables = {"APIFY_TOKEN": server.token, "APIFY_API_BASE_URL": server.url}
        taken = measure([sys.executable, "-m", "orchestrator", *words], variables)
        return taken.cpu_secs, taken.wall_secs

    return take


COMMANDS: dict[str, Callable[[Path], Times]] = {
    "`status`": _command("status"),
    "`list`": _command("list"),
    "`list --json`": _command("list", "--json"),
    "`ui`, until its first page": _first_page,
    # Leaves batches, as the one that follows does.
    "`run`, until its first request": until_request,
}
