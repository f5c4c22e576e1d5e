"""Several processes on one batch whose jobs take the results of an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.crash.test_kills import QUICK
from tests.support.command import HURRIED, Command, Process, served_platform
from tests.support.postgres_server import PostgresServer

SPEC = """
[batch]
name = "again"
schedule = "0 0 * * *"

[[jobs]]
name = "part-{{ n }}"
actor = "orchestrator/simulated"
reuse = "1h"
input = { duration_secs = 0.01, items = 1, item = { n = "{{ n }}" } }
matrix = { n = { range = [1, 12] } }
"""


def run_all(command: Command, day: str) -> None:
    """Processes that share a batch, in one folder."""
    words = ("run", "s.toml", "--json", "--occurrence", day)
    live: list[Process] = [command.start(*words, "--shard", f"{n}/3") for n in (1, 2, 3)]
    outs = [process.communicate() for process in live]
    assert [process.code for process in live] == [0, 0, 0], outs
    assert {json.loads(out)["jobs"]["SUCCEEDED"] for out, _ in outs} == {12}


def test_shards_of_one_folder_reuse_earlier_results_at_the_same_time(
    tmp_path: Path, server: PostgresServer
) -> None:
    """None of them removes what another one copies; nothing is run again, and nothing is left."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("s.toml", SPEC)
        run_all(command, "2026-11-01")
        slow = replace(command, program="tests.support.disturbed_copies:main_slow")
        run_all(slow, "2026-11-02")
        assert len(platform.runs()) == 12
        assert command.run("verify", "again").code == 0
        folders = list((tmp_path / "output" / "again" / "latest" / "jobs").iterdir())
        assert len(folders) == 12


ITEMS_SPEC = """
[batch]
name = "again"
schedule = "0 0 * * *"

[defaults]
actor = "orchestrator/simulated"

[[jobs]]
name = "list-{{ date }}"
input = { duration_secs = 0.01, items = 24, item = { day = "{{ date }}" } }

[[jobs]]
name = "part-{{ n }}"
reuse = "1h"
input = { duration_secs = 0.01, items = 1, item = { n = "{{ n }}" } }
matrix = { rows = { needs = "list-*", fields = { n = "index" } } }

[[jobs]]
name = "report-{{ date }}"
needs = ["part-*"]
input = { duration_secs = 0.01, items = 1, item = { day = "{{ date }}" } }
"""


def test_job_that_needs_reused_results_is_started(tmp_path: Path, server: PostgresServer) -> None:
    """The process hears of the new jobs while it copies their results, and when it has done so."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {
            **platform.variables(),
            **QUICK,
            "ORCHESTRATOR_LEDGER": server.url,
            "ORCHESTRATOR_COSTS_SETTLE_SECS": "1",
        }
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("s.toml", ITEMS_SPEC)
        slow = replace(command, program="tests.support.disturbed_copies:main_slow")
        for one, day in ((command, "2026-11-01"), (slow, "2026-11-02")):
            words = ("run", "s.toml", "--json", "--occurrence", day, "--shard", "1/1")
            done = one.run(*words)
            assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 26), done.err
        assert len(platform.runs()) == 28
