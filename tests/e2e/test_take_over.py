"""Folders restored from a backup, copies in use at the same time, and limits across kills."""

from __future__ import annotations

import os
import shutil
import signal

from tests.support.command import Command, Process, ServedPlatform, sweep, wait_until


def kill(process: Process) -> None:
    """Ends a command as the kernel does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_folder_from_a_backup_repeats_no_start(command: Command, platform: ServedPlatform) -> None:
    """Runs that started after the backup are adopted: each job is paid once."""
    command.write("sweep.toml", sweep(jobs=8, batch="max_runs = 2", duration_secs=0.5, items=2))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 2, "two runs")
    folder = latest.resolve()
    process.send_signal(signal.SIGSTOP)
    shutil.copytree(folder, command.folder / "backup")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: len(platform.runs_of(latest)) >= 6, "six runs")
    kill(process)
    shutil.rmtree(folder)
    shutil.copytree(command.folder / "backup", folder)
    done = command.run("resume", folder, "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 8), done.err
    assert len(platform.runs_of(folder)) == 8


def test_second_copy_stops(command: Command, platform: ServedPlatform) -> None:
    """Two processes on copies would pay for each job twice: the later one ends with 2."""
    command.write("sweep.toml", sweep(jobs=40, batch="max_runs = 2", duration_secs=1.5, items=2))
    process = command.start("run", "sweep.toml")
    latest = command.folder / "output" / "sweep" / "latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 2, "two runs")
    copy = command.folder / "copy" / "sweep" / latest.resolve().name
    shutil.copytree(latest.resolve(), copy)
    done = command.run("resume", copy)
    kill(process)
    assert done.code == 2, done.err
    assert "another process works on a copy of this folder" in done.err


def test_starts_per_minute_hold_across_kills(command: Command, platform: ServedPlatform) -> None:
    """The ledger counts the rate of a pool: restarts do not exceed it."""
    text = sweep(jobs=9, job='pools = ["shop"]', duration_secs=0.1, items=1)
    command.write("sweep.toml", text + "\n[pools]\nshop = { starts_per_minute = 3 }\n")
    latest = command.folder / "output" / "sweep" / "latest"
    process = command.start("run", "sweep.toml")
    wait_until(lambda: len(platform.runs_of(latest)) == 3, "three runs")
    for _ in range(3):
        kill(process)
        process = command.start("resume", "sweep")
        wait_until(lambda: _is_waiting(command), "the reason for the wait")
    kill(process)
    assert len(platform.runs_of(latest)) == 3


def _is_waiting(command: Command) -> bool:
    said = command.run("status", "sweep", "--why", "job-9").out
    return "pool shop has had 3 of 3 starts in the last minute" in said
