"""Signals at any moment, from the first second on."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import LONGEST_SECS, Command, ServedPlatform, sweep, wait_until

MOMENTS = 200 if os.environ.get("ORCHESTRATOR_SOAK") else 20
FIRST_SECS = 0.8


def start_alone(command: Command, *words: str) -> subprocess.Popen[str]:
    """Starts the command in its own interpreter, where imports take time."""
    return subprocess.Popen(
        [*words, sys.executable, "-m", "orchestrator", "run", "sweep.toml"],
        cwd=command.folder,
        env=command.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def handles_signals(process: subprocess.Popen[str]) -> bool:
    """Whether our handler is installed; before that, the signal kills Python."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGHUP - 1) & 1)


def test_one_interrupt_in_the_first_second_ends_the_command(command: Command) -> None:
    """Ctrl-C ends the command with 130 during any import, and leaves no part behind."""
    command.write("sweep.toml", sweep(jobs=3, duration_secs=20, items=1))
    codes = []
    for moment in range(MOMENTS):
        process = start_alone(command)
        wait_until(partial(handles_signals, process), "our handler")
        time.sleep(FIRST_SECS * moment / MOMENTS)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONGEST_SECS)
        assert "Traceback" not in err
        codes.append(process.returncode)
    assert set(codes) == {130}
    assert not list(command.folder.glob("output/sweep/.*.new"))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signal_stops_a_batch_in_order(
    command: Command, platform: ServedPlatform, number: signal.Signals
) -> None:
    """The code is 128 plus the number, the summary has the reason, and the runs stay live."""
    command.write("sweep.toml", sweep(jobs=2, duration_secs=3600, items=1))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 2, "two runs")
    process.send_signal(number)
    _, err = process.communicate(timeout=LONGEST_SECS)
    assert process.code == 128 + number, err
    assert f"stopped early: stopped by {number.name}" in err
    assert json.loads((latest / "summary.json").read_text())["exit_code"] == 128 + number
    assert {run["status"] for run in platform.runs_of(latest)} == {"RUNNING"}


@pytest.mark.parametrize("steps", [0, 2, 4, 8, 16, 100])
@pytest.mark.parametrize("since", ["publishing:publish", "batch.lifecycle:_drive_new"])
def test_early_interrupt_is_in_the_ledger(command: Command, since: str, steps: int) -> None:
    """From its first moment on, a batch records that a signal stopped it."""
    assert _signalled(command, f"orchestrator.app.{since}", steps) == ("stopped", 130)


@pytest.mark.parametrize("steps", [0, 8, 16, 32, 64, 128, 256])
def test_late_interrupt_is_in_the_ledger(command: Command, steps: int) -> None:
    """A signal that comes after the last run does not keep the batch from being closed."""
    ended = _signalled(command, "orchestrator.app.batch.failure_logs:keep_log_ends", steps)
    assert ended in {("stopped", 130), ("ended", 0)}


def _signalled(command: Command, since: str, steps: int) -> tuple[str, int]:
    """How a batch ended whose process got SIGINT some steps after a call of a function."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.2, items=1))
    signalled = replace(command, program="tests.support.signalled_call:main_signalled")
    done = signalled.run(since, str(steps), "run", "sweep.toml")
    status = command.run("status", "sweep", "--json").json
    assert done.code in {status["exit_code"], 130}, done.err
    return status["state"], status["exit_code"]


def interrupted(
    command: Command, platform: ServedPlatform, begins: int, *words: str
) -> dict[str, Any]:
    """The summary of a batch of one endless run, after a call whose work was interrupted."""
    latest = command.folder / "output/sweep/latest"
    log = latest / "log.jsonl"
    process = command.start(*words)
    event = '"batch_started"'
    wait_until(lambda: log.exists() and log.read_text().count(event) == begins, "a begin")
    wait_until(lambda: len(platform.runs_of(latest)) == 1, "a run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST_SECS)
    assert process.code == 130, err
    summary: dict[str, Any] = json.loads((latest / "summary.json").read_text())
    return summary


def test_time_in_which_runs_are_only_followed_is_active_time(
    command: Command, platform: ServedPlatform
) -> None:
    """A resume that is interrupted before any run ends has worked until then."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=3600, items=1))
    first = interrupted(command, platform, 1, "run", "sweep.toml")
    second = interrupted(command, platform, 2, "resume", "sweep")
    assert first["active_secs"] < second["active_secs"] < second["duration_secs"]
    assert first["finished_at"] < second["finished_at"]


def test_second_signal_ends_the_command_at_once(command: Command, platform: ServedPlatform) -> None:
    """A second Ctrl-C does not wait until everything is saved."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=3600, items=1))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 1, "a run")
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=LONGEST_SECS)
    assert process.code in {130, 143}


def test_blocked_process_ends_after_ten_seconds(
    faulty: Callable[..., tuple[Command, ServedPlatform]],
) -> None:
    """Even a process that is blocked ends, with the code of the signal."""
    command, platform = faulty()
    command.write("sweep.toml", sweep(jobs=1, duration_secs=3600, items=1))
    process = replace(command, program="tests.support.stuck_reports:main_stuck").start(
        "run", "sweep.toml"
    )
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: latest.exists() and len(platform.runs_of(latest)) == 1, "a run")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST_SECS)
    assert process.code == 143


@pytest.mark.parametrize("ignored", ["HUP", "INT"])
def test_signal_that_was_ignored_at_the_start_stays_ignored(command: Command, ignored: str) -> None:
    """`nohup` and `&` mean that a hang-up or a Ctrl-C does not end the batch."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=1.5, items=1))
    process = start_alone(command, "sh", "-c", f"trap '' {ignored}; exec \"$@\"", "sh")
    latest = command.folder / "output/sweep/latest"
    wait_until(latest.exists, "a batch")
    process.send_signal(getattr(signal, f"SIG{ignored}"))
    _, err = process.communicate(timeout=LONGEST_SECS)
    assert process.returncode == 0, err


def test_signal_while_the_spec_is_expanded_leaves_no_folder(tmp_path: Path) -> None:
    """A batch in preparation is removed when its command is interrupted."""
    command = Command(folder=tmp_path, variables={"APIFY_TOKEN": "none"})
    command.write("sweep.toml", sweep(jobs=900_000, duration_secs=0))
    process = command.start("run", "sweep.toml")
    wait_until(lambda: bool(list(tmp_path.glob("output/sweep/.*.new"))), "a folder")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST_SECS)
    assert process.code == 143
    assert not (tmp_path / "output").exists()


def test_interrupt_while_another_call_publishes_leaves_no_folder(command: Command) -> None:
    """A call that waits for one that is paused ends at once, and takes its batch along."""
    command.write("sweep.toml", sweep(jobs=1))
    home = command.folder / "output/sweep"
    home.mkdir(parents=True)
    handle = os.open(home, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    process = command.start("run", "sweep.toml")
    wait_until(lambda: bool(list(home.glob(".*.new/spec.toml"))), "a batch that is prepared")
    time.sleep(FIRST_SECS)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONGEST_SECS)
    os.close(handle)
    assert process.code == 130
    assert list(home.iterdir()) == []
