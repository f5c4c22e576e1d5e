"""Processes on machines whose clocks are wrong share a batch: leases run by the server's clock."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.crash.test_kills import check_runs
from tests.support.clock import adjustable, find_library, set_ahead
from tests.support.command import (
    HURRIED,
    Command,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)
from tests.support.postgres_server import PostgresServer

HOUR_SECS = 3600
JOBS = 12
LEASE_SECS = 4.8
QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "1", "ORCHESTRATOR_SETTLE_SECS": "0.2"}
BATCH = 'max_runs = 4\nschedule = "0 0 * * *"\n[pools]\nall = { starts_per_minute = 60 }'
WORDS = ("run", "sweep.toml", "--json", "--occurrence", "2027-01-15T00:00Z")


def machine(command: Command, place: int, hours: float) -> tuple[Command, Path]:
    """A folder and a clock of its own; the file sets the clock."""
    folder = command.folder / f"machine-{place}"
    folder.mkdir()
    one, clock = adjustable(replace(command, folder=folder), folder / "home")
    one.write("sweep.toml", (command.folder / "sweep.toml").read_text())
    set_ahead(clock, hours * HOUR_SECS)
    return one, clock


def has_started(command: Command) -> bool:
    """Whether a process on this machine has started a run."""
    logs = (command.folder / "output/sweep").glob("2*/log.jsonl")
    return any("run_started" in log.read_text() for log in logs)


def has_runs(platform: ServedPlatform, count: int) -> bool:
    """Whether the platform has begun so many runs."""
    return len(platform.runs()) >= count


@pytest.mark.skipif(find_library() is None, reason="Debian's package faketime is not installed")
def test_wrong_clocks_change_no_lease_and_start_nothing_twice(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Hours ahead, hours behind and set: only the attempts of a killed process are taken."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        work = sweep(jobs=JOBS, batch=BATCH, job='pools = ["all"]', duration_secs=1.5, items=2)
        command.write("sweep.toml", work)
        machines = [machine(command, place, hours) for place, hours in enumerate((30, -20))]
        ahead, behind = (
            one.start(*WORDS, "--ledger", server.url, "--shard", f"{place}/2")
            for place, (one, _) in enumerate(machines, start=1)
        )
        wait_until(partial(has_runs, platform, 4), "four runs")
        wait_until(partial(has_started, machines[0][0]), "a start by the clock that is ahead")
        os.killpg(ahead.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        for hours in (-50, 70):
            set_ahead(machines[1][1], hours * HOUR_SECS)
        wait_until(lambda: "attempt stolen" in behind.errors(), "the takeover")
        # Its last transaction was a moment before it died.
        assert time.monotonic() - killed_at > LEASE_SECS - 2
        out, err = behind.communicate()
        assert behind.code == 0, err
        assert "lease lost" not in err
        assert json.loads(out)["jobs"]["SUCCEEDED"] == JOBS
        check_runs(platform.runs(), jobs=JOBS)
