"""Several processes on one batch whose jobs are made of items: each item once, whoever dies."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.test_kills import QUICK
from tests.support.command import (
    HURRIED,
    Command,
    Process,
    ServedPlatform,
    served_platform,
    wait_until,
)
from tests.support.fault_points import POINTS, Story
from tests.support.postgres_server import PostgresServer

MORTAL = "tests.support.two_lives:run_until_point"
POINTS_OF_ROWS = [name for name, point in POINTS.items() if point.story is Story.ROWS]
# Both sides of the commit; the third is in the transaction, which a death undoes.
DEATHS = POINTS_OF_ROWS if os.environ.get("ORCHESTRATOR_SOAK") else ["expanding", "expanded"]
SPEC = """
[batch]
name = "shops"
max_runs = 6
schedule = "0 0 * * *"

[defaults]
actor = "orchestrator/simulated"

[[jobs]]
name = "search-{{ q }}"
input = { duration_secs = 4, items = 3, item = { q = "{{ q }}" } }
matrix = { q = { range = [1, 1] } }

[[jobs]]
name = "profile-{{ q }}-{{ index }}"
input = { duration_secs = 0.2, items = 2, item = { q = "{{ q }}", of = "{{ index }}" } }
matrix = { rows = { needs = "search-*", fields = ["q", "index"] } }

[[jobs]]
name = "detail-{{ source }}-{{ index }}"
input = { duration_secs = 0.1, items = 1, item = { of = "{{ source }}" } }
matrix = { rows = { needs = "profile-*-0", fields = ["index"], where = "index == 1" } }

[[jobs]]
name = "report"
needs = ["detail-*", "profile-1-2"]
input = { duration_secs = 0.1, items = 1, item = { rows = '{{ needs["detail-*"].items }}' } }
"""
JOBS = 1 + 3 + 1 + 1


PARTS = """
[batch]
name = "parts"
max_runs = 16
schedule = "0 0 * * *"

[defaults]
actor = "orchestrator/simulated"

[[jobs]]
name = "list"
input = { duration_secs = 0.1, items = 2000, item = { text = "some kilobytes" } }

[[jobs]]
name = "part-{{ n }}"
needs = ["list"]
input = { duration_secs = 3, items = 1, item = { rows = '{{ needs.list["items"] | length }}' } }
matrix = { n = { range = [1, 32] } }
"""


def start(
    command: Command, server: PostgresServer, shard: str, *first: str, text: str = SPEC
) -> Process:
    """Starts a process in a folder of its own, as on another machine."""
    folder = command.folder / f"machine-{shard.partition('/')[0]}"
    folder.mkdir(exist_ok=True)
    one = replace(command, folder=folder)
    one.write("spec.toml", text)
    words = ("run", "spec.toml", "--shard", shard, "--ledger", server.url, "--json")
    return one.start(*first, *words)


def check(platform: ServedPlatform, live: list[Process]) -> None:
    """Each job succeeded in one run, and all processes say so."""
    outs = [process.communicate() for process in live]
    assert [process.code for process in live] == [0] * len(live), outs
    assert {json.loads(out)["jobs"]["SUCCEEDED"] for out, _ in outs} == {JOBS}
    marks = (run["meta"]["userAgent"].rpartition("(attempt ")[2] for run in platform.runs())
    starts = Counter(mark.rsplit(".", 1)[0] for mark in marks if mark)
    assert sorted(starts.values()) == [1] * JOBS


@pytest.mark.parametrize("point", DEATHS)
def test_items_become_jobs_once_when_a_shard_dies_at(
    point: str, tmp_path: Path, server: PostgresServer
) -> None:
    """The others take the items of the dead one from the platform, whose folder they lack."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        mortal = Command(folder=tmp_path, variables=variables, program=MORTAL)
        dying = start(mortal, server, "1/3", point)
        wait_until(lambda: bool(platform.runs()), "a run")
        command = replace(mortal, program=HURRIED)
        live = [start(command, server, name) for name in ("2/3", "3/3")]
        dying.communicate()
        assert dying.code == -signal.SIGKILL
        check(platform, live)
    if point != "expanded":
        logs = [
            path.read_text() for path in tmp_path.glob("machine-[23]/output/shops/2*/log.jsonl")
        ]
        assert any("results_downloaded_again" in log for log in logs)


def test_jobs_of_other_machines_wait_for_the_one_download_that_they_need(
    tmp_path: Path, server: PostgresServer
) -> None:
    """None of them starts with a part of the items, or fails for it."""
    with served_platform(tmp_path / "platform") as platform:
        command = Command(
            folder=tmp_path, variables={**platform.variables(), **QUICK}, program=HURRIED
        )
        live = [start(command, server, name, text=PARTS) for name in ("1/3", "2/3", "3/3")]
        outs = [process.communicate() for process in live]
        assert [process.code for process in live] == [0, 0, 0], outs
        assert {json.loads(out)["jobs"]["SUCCEEDED"] for out, _ in outs} == {33}
    items = [path.read_text() for path in tmp_path.glob("machine-*/**/jobs/part-*/items.jsonl")]
    assert [json.loads(item)["rows"] for item in items] == [2000] * 32
    logs = [path.read_text() for path in tmp_path.glob("machine-*/**/log.jsonl")]
    assert max(log.count("results_downloaded_again") for log in logs) <= 1


@pytest.mark.skipif("ORCHESTRATOR_SOAK" not in os.environ, reason="ORCHESTRATOR_SOAK is not set")
def test_shards_end_when_jobs_of_items_are_refused(tmp_path: Path, server: PostgresServer) -> None:
    """No process waits for jobs that max_jobs does not allow; each says why."""
    text = SPEC.replace("max_runs = 6", "max_runs = 6\nmax_jobs = 3")
    with served_platform(tmp_path / "platform") as platform:
        quick = {**QUICK, "ORCHESTRATOR_COSTS_SETTLE_SECS": "1"}
        variables = {**platform.variables(), **quick}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        live = [start(command, server, name, text=text) for name in ("1/2", "2/2")]
        outs = [process.communicate() for process in live]
        assert [process.code for process in live] == [3, 3], outs
        assert all("more than 3 jobs (max_jobs)" in err for _, err in outs)
        assert len(platform.runs()) == 1
