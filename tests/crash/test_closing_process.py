"""The process that closes a shared batch is killed or paused: another one closes the batch."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.test_shards import writers
from tests.support.command import (
    HURRIED,
    Command,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)
from tests.support.postgres_server import PostgresServer
from tests.support.receivers import Receiver, receiver

SOAK = bool(os.environ.get("ORCHESTRATOR_SOAK"))
PAUSED = "tests.support.two_lives:run_with_pause"
POINTS = ("merging", "announcing", "reporting", "closed")[: None if SOAK else 2]
DYING = "tests.support.two_lives:run_until_point"
QUICK = {"ORCHESTRATOR_START_DEADLINE_SECS": "1", "ORCHESTRATOR_SETTLE_SECS": "0.2"}
TABLES = '[results]\n[notify]\nping_url = "{{ env.PING_URL }}"\n'
JOBS, ITEMS = 4, 2


def merging_command(folder: Path, platform: ServedPlatform, web: Receiver) -> Command:
    """The command, beside a spec whose results are merged and whose end is pinged."""
    variables = {**platform.variables(), **QUICK, "PING_URL": web.url}
    command = Command(folder=folder, variables=variables, program=HURRIED)
    work = sweep(jobs=JOBS, batch='schedule = "0 0 * * *"', duration_secs=0.1, items=ITEMS)
    command.write("sweep.toml", work + TABLES)
    return command


def test_batch_is_announced_once_though_two_processes_die_in_its_merge(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Each other process takes the end over: whole results, no run twice, and one message."""
    with served_platform(tmp_path / "platform") as platform, receiver() as web:
        command = merging_command(tmp_path, platform, web)
        words = ("run", "sweep.toml", "--ledger", server.url, "--shard")
        dying = replace(command, program=DYING)
        killed = [dying.start("merging", *words, name) for name in ("1/2", "2/2")]
        errors = [process.communicate()[1] for process in killed]
        assert [process.code for process in killed] == [-signal.SIGKILL] * 2, errors
        assert web.pings.count("") == 0
        for _ in range(2):
            done = command.run(*words, "1/1")
            assert done.code == 0, done.err
        assert web.pings.count("") == 1
        assert len(platform.runs()) == JOBS
    (folder,) = (tmp_path / "output/sweep").glob("2*")
    assert len((folder / "results/items.jsonl").read_text().splitlines()) == JOBS * ITEMS


def is_closed(server: PostgresServer) -> bool:
    """Whether a process has closed the batch."""
    import psycopg

    with psycopg.connect(server.url) as connection:
        state = connection.execute("SELECT state FROM orchestrator.all_batches").fetchone()
    return state is not None and state[0] != "open"


@pytest.mark.parametrize("point", POINTS)
def test_batch_is_announced_once_though_the_process_that_closes_it_is_paused(
    tmp_path: Path, server: PostgresServer, point: str
) -> None:
    """Another one closes the batch in its place; awake, it announces nothing and ends alike."""
    with served_platform(tmp_path / "platform") as platform, receiver() as web:
        command = merging_command(tmp_path, platform, web)
        words = ("run", "sweep.toml", "--ledger", server.url, "--shard")
        paused = replace(command, program=PAUSED).start(point, *words, "1/2")
        wait_until(lambda: len(platform.runs()) == JOBS, "the runs")
        wait_until(lambda: is_closed(server), "the end")
        done = command.run(*words, "2/2")
        assert done.code == 0, done.err
        assert web.pings.count("") == 1
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate()
        assert paused.code == 0, errors
        assert "lease lost" in errors
        assert web.pings.count("") == 1
        assert len(platform.runs()) == JOBS
    (folder,) = (tmp_path / "output/sweep").glob("2*")
    assert len((folder / "results/items.jsonl").read_text().splitlines()) == JOBS * ITEMS
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".results")]


def test_process_that_was_paused_starts_nothing_of_a_batch_that_was_aborted(
    tmp_path: Path, server: PostgresServer
) -> None:
    """It sleeps past its lease; `abort` ends the batch and its runs; awake, it ends with 3, too."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 4\nschedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=12, batch=batch, duration_secs=60))
        words = ("run", "sweep.toml", "--ledger", server.url, "--shard")
        processes = [command.start(*words, name) for name in ("1/2", "2/2")]
        wait_until(lambda: len(platform.runs()) == 4, "four runs")
        wait_until(lambda: writers(server) == 2, "two processes")
        paused, other = processes
        paused.send_signal(signal.SIGSTOP)
        aborted = command.run("abort", "sweep", "--ledger", server.url)
        assert aborted.code == 0, aborted.err
        _, errors = other.communicate()
        assert other.code == 3, errors
        assert {run["status"] for run in platform.runs()} == {"ABORTED"}
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate()
        assert paused.code == 3, errors
        restarted = command.run(*words, "1/2")
        assert restarted.code == 3, restarted.err
        assert len(platform.runs()) == 4
        status = command.run("status", "sweep", "--ledger", server.url)
        assert "abort" in status.out, status.out


def test_abort_does_not_wait_for_a_paused_process(tmp_path: Path, server: PostgresServer) -> None:
    """No other one shares the batch: `abort` ends and names it; awake, it aborts its runs."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": server.url}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        command.write("sweep.toml", sweep(jobs=2, duration_secs=600))
        paused = command.start("run", "sweep.toml", "--shard", "1/1")
        wait_until(lambda: len(platform.runs()) == 2, "two runs")
        paused.send_signal(signal.SIGSTOP)
        done = command.run("abort", "sweep", timeout=60)
        assert done.code == 4, done.err
        assert f"process {paused.pid} on " in done.err
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate()
        assert paused.code == 3, errors
        assert {run["status"] for run in platform.runs()} == {"ABORTED"}
