from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import QUICK
from tests.support.command import Command, ServedPlatform, sweep, wait_until

BATCH = "max_runs = 3"


def test_watch_follows_a_batch_to_its_end(command: Command, platform: ServedPlatform) -> None:
    """It shows the progress of another process, and exits with that process's code."""
    command.write("sweep.toml", sweep(jobs=6, batch=BATCH, duration_secs=1.0, items=2))
    run = command.start("run", "sweep.toml")
    wait_until(_latest(command).exists, "a batch")
    watch = command.start("watch", "sweep", "--json")
    out, _ = watch.communicate()
    run.communicate()
    looks = [json.loads(line) for line in out.splitlines()]
    assert [look["is_held"] for look in looks] == [True] * (len(looks) - 1) + [False]
    assert looks[0]["state"] == "open"
    assert (looks[-1]["state"], looks[-1]["jobs"]["SUCCEEDED"]) == ("ended", 6)
    assert (watch.code, run.code) == (0, 0)
    assert len(platform.runs_of(_latest(command))) == 6


def test_watch_shows_lines_and_a_closing_table(command: Command) -> None:
    """Without a terminal, changes of the figures go to stderr, and the outcome to stdout."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=1.5, items=2, outcome="FAILED"))
    run = command.start("run", "sweep.toml")
    wait_until(_latest(command).exists, "a batch")
    done = command.run("watch", "sweep")
    run.communicate()
    assert done.code == 1
    assert "0 of 2 done" in done.err
    assert "FAILED" in done.out
    assert "ended; output/sweep/" in done.out


def test_watch_reports_a_killed_process(command: Command) -> None:
    """When the process is killed, `watch` ends and prints the command that resumes the batch."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=3600))
    run = command.start("run", "sweep.toml")
    wait_until(_latest(command).exists, "a batch")
    watch = command.start("watch", "sweep")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    out, _ = watch.communicate()
    assert watch.code == 3
    assert "orchestrator resume" in out


@pytest.mark.parametrize("words", [("status", "sweep"), ("list",), ("watch", "sweep")])
def test_reading_commands_block_no_process(
    command: Command, platform: ServedPlatform, words: tuple[str, ...]
) -> None:
    """Commands that read a batch never block the process that runs it."""
    command = replace(command, variables={**command.variables, **QUICK})
    command.write("sweep.toml", sweep(jobs=2, batch=BATCH, duration_secs=1.5, items=2))
    first = command.start("run", "sweep.toml")
    wait_until(lambda: len(platform.runs_of(_latest(command))) == 2, "two runs")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    resume = command.start("resume", "sweep", "--json")
    while not resume.has_ended:
        assert command.run(*words).code in {0, 3}
        time.sleep(0.02)  # each look costs CPU, and those without a pause meet the same moments
    out, err = resume.communicate()
    assert resume.code == 0, err
    assert json.loads(out)["runs"] == len(platform.runs_of(_latest(command))) == 2


def _latest(command: Command) -> Path:
    return command.folder / "output" / "sweep" / "latest"
