"""Several processes on one batch: limits, lost servers, one end; the platform counts the runs."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from orchestrator.ledger import LedgerReader
from tests.crash.test_kills import QUICK, check_runs
from tests.support.command import (
    HURRIED,
    Command,
    Process,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)
from tests.support.partition import partition
from tests.support.postgres_server import PostgresServer

SHORT_LEASES = {"ORCHESTRATOR_START_DEADLINE_SECS": "1", "ORCHESTRATOR_SETTLE_SECS": "0.2"}


@dataclass
class Watch:
    """Looks at the platform all the time: the most runs that were live at once."""

    platform: ServedPlatform
    most: int = 0
    _ends: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.1):
            live = [run for run in self.platform.runs() if run["status"] in ("READY", "RUNNING")]
            self.most = max(self.most, len(live))


def shards(command: Command, server: PostgresServer, *names: str) -> list[Process]:
    """Starts a process for each shard, each in a folder of its own, as on other machines."""
    started = []
    for place, name in enumerate(names):
        one = replace(command, folder=command.folder / f"machine-{place}")
        one.folder.mkdir()
        one.write("sweep.toml", (command.folder / "sweep.toml").read_text())
        words = ("run", "sweep.toml", "--shard", name, "--ledger", server.url, "--json")
        started.append(one.start(*words))
    return started


def writers(server: PostgresServer) -> int:
    """How many processes have joined the batch of the server."""
    import psycopg

    with psycopg.connect(server.url) as connection:
        joined = "SELECT count(*) FROM orchestrator.all_writers WHERE is_shard = 1"
        row = connection.execute(joined).fetchone()
    return 0 if row is None else int(row[0])


def makings(server: PostgresServer) -> int:
    """How many batches were written to the server, also those that were removed again."""
    import psycopg

    numbers = "pg_get_serial_sequence('orchestrator.all_batches', 'batch')"
    with psycopg.connect(server.url) as connection:
        row = connection.execute(f"SELECT pg_sequence_last_value({numbers}::regclass)").fetchone()
    return 0 if row is None else int(row[0])


def test_shards_share_one_batch(tmp_path: Path, server: PostgresServer) -> None:
    """Three processes in three folders do each job once, within one limit, and end alike."""
    with served_platform(tmp_path / "platform") as platform, Watch(platform) as watch:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 4\nschedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=30, batch=batch, duration_secs=0.3, items=2))
        processes = shards(command, server, "1/3", "2/3", "3/3")
        outs = [process.communicate() for process in processes]
        assert [process.code for process in processes] == [0, 0, 0], outs
        assert len(platform.runs()) == 30
        assert makings(server) == 1
        summaries = [json.loads(out) for out, _ in outs]
        assert {summary["jobs"]["SUCCEEDED"] for summary in summaries} == {30}
        # A start, its end and its items: those of all processes count.
        assert min(summary["requests"] for summary in summaries) >= 90
        assert watch.most <= 4
        elsewhere = replace(command, folder=tmp_path / "new machine")
        elsewhere.folder.mkdir()
        name = next((tmp_path / "machine-1/output/sweep").glob("2*")).name
        for words in (("status", f"sweep/{name}"), ("collect", "sweep"), ("verify", "sweep")):
            done = elsewhere.run(*words, "--ledger", server.url)
            assert done.code == 0, (words, done.err)
        assert len(platform.runs()) == 30
    (folder,) = (tmp_path / "machine-0/output/sweep").glob("2*")
    with LedgerReader(folder / "ledger.sqlite") as reader:
        calls = reader.totals().calls
    assert len(calls) >= 3


def test_check_notices_two_runs_of_one_attempt() -> None:
    """The check of these tests counts at the platform."""
    run = {"startedAt": "1", "status": "SUCCEEDED", "meta": {"userAgent": "x (attempt m.0.1.1"}}
    with pytest.raises(AssertionError):
        check_runs([run, {**run, "startedAt": "2"}], jobs=1)


def test_shards_survive_a_restart_of_the_server(tmp_path: Path, server: PostgresServer) -> None:
    """The server crashes while three processes work: all wait, and each job is started once."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 6\nschedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=40, batch=batch, duration_secs=0.4, items=2))
        processes = shards(command, server, "1/3", "2/3", "3/3")
        wait_until(lambda: len(platform.runs()) >= 9, "nine runs")
        server.stop()
        wait_until(lambda: all("ledger away" in one.errors() for one in processes), "the notices")
        server.start()
        outs = [process.communicate() for process in processes]
        assert [process.code for process in processes] == [0, 0, 0], "\n".join(
            err for _, err in outs
        )
        assert len(platform.runs()) == 40


def test_shards_wait_for_a_server_that_is_away_at_their_start(
    tmp_path: Path, server: PostgresServer
) -> None:
    """A timer starts two processes while the server restarts: both wait, then do the batch."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'schedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=4, batch=batch, duration_secs=0.1))
        server.stop()
        processes = shards(command, server, "1/2", "2/2")
        wait_until(lambda: all("ledger away" in one.errors() for one in processes), "the notices")
        server.start()
        outs = [process.communicate() for process in processes]
        assert [process.code for process in processes] == [0, 0], outs
        assert len(platform.runs()) == 4


def test_one_budget_holds_for_all_shards(tmp_path: Path, server: PostgresServer) -> None:
    """Each run may cost a tenth of the budget: ten are started, and every process ends with 3."""
    with served_platform(tmp_path / "platform") as platform:
        settle = {"ORCHESTRATOR_COSTS_SETTLE_SECS": "1"}
        variables = {**platform.variables(), **QUICK, **settle}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 20\nmax_cost_usd = 1.0\nschedule = "0 0 * * *"'
        job = "max_total_charge_usd = 0.1"
        spec = sweep(jobs=30, batch=batch, job=job, duration_secs=0.3, cost_usd=0.1)
        command.write("sweep.toml", spec)
        processes = shards(command, server, "1/3", "2/3", "3/3")
        outs = [process.communicate() for process in processes]
        assert [process.code for process in processes] == [3, 3, 3], outs
        assert len(platform.runs()) == 10


def test_abort_reaches_all_shards(tmp_path: Path, server: PostgresServer) -> None:
    """From another machine, it ends all processes and their runs; the batch can be resumed."""
    with served_platform(tmp_path / "platform") as platform:
        variables = {**platform.variables(), **QUICK}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 4\nschedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=8, batch=batch, duration_secs=60, items=2))
        processes = shards(command, server, "1/2", "2/2")
        wait_until(lambda: len(platform.runs()) == 4, "four runs")
        wait_until(lambda: writers(server) == 2, "two processes")
        elsewhere = replace(command, folder=tmp_path / "elsewhere")
        elsewhere.folder.mkdir()
        done = elsewhere.run("abort", "sweep", "--ledger", server.url)
        assert done.code == 0, done.err
        for process in processes:
            process.communicate()
        assert [process.code for process in processes] == [3, 3]
        assert {run["status"] for run in platform.runs()} == {"ABORTED"}
        assert len(platform.runs()) == 4


def test_partition_from_the_server_starts_nothing_twice(
    tmp_path: Path, server: PostgresServer
) -> None:
    """The network of one process stalls for longer than its lease, then breaks: it joins again."""
    with served_platform(tmp_path / "platform") as platform, partition(server.port) as network:
        variables = {**platform.variables(), **SHORT_LEASES}
        command = Command(folder=tmp_path, variables=variables, program=HURRIED)
        batch = 'max_runs = 4\nschedule = "0 0 * * *"'
        command.write("sweep.toml", sweep(jobs=30, batch=batch, duration_secs=1.5, items=2))
        cut_off = replace(server, port=network.port)
        processes = shards(command, cut_off, "1/2")
        wait_until(lambda: len(platform.runs()) >= 2, "two runs")
        other = replace(command, folder=tmp_path / "other")
        other.folder.mkdir()
        other.write("sweep.toml", (tmp_path / "sweep.toml").read_text())
        words = ("run", "sweep.toml", "--shard", "2/2", "--ledger", server.url, "--json")
        processes.append(other.start(*words))
        wait_until(lambda: writers(server) == 2, "two processes")
        network.stall()
        wait_until(lambda: "attempt stolen" in processes[1].errors(), "the theft")
        network.cut()
        outs = [process.communicate() for process in processes]
        assert [process.code for process in processes] == [0, 0], outs
        assert len(platform.runs()) == 30


def _has_runs(platform: ServedPlatform, most: int) -> bool:
    return len(platform.runs()) >= most


def facts(folder: Path) -> list[tuple]:
    """What the reports say of all jobs, without what differs between any two batches."""
    lines = (folder / "output/sweep/latest/jobs.jsonl").read_text().splitlines()
    names = ("key", "status", "attempts", "items", "bytes", "sha256", "cost_usd")
    return [tuple(job[name] for name in names) for job in map(json.loads, lines)]


def test_batch_is_the_same_however_many_processes_work_on_it(
    tmp_path: Path, server: PostgresServer
) -> None:
    """With a file, with a server, with four processes, and with four of which one is killed."""
    batch = 'max_runs = 4\nschedule = "0 0 * * *"'
    spec = sweep(jobs=16, batch=batch, duration_secs=0.5, items=3, cost_usd=0.01)
    found = []
    for number, (names, kills) in enumerate(
        [([], False), (["1/1"], False), (["1/4", "2/4", "3/4", "4/4"], False),
         (["1/4", "2/4", "3/4", "4/4"], True)]
    ):  # fmt: skip
        home = tmp_path / str(number)
        home.mkdir()
        with served_platform(home / "platform") as platform:
            variables = {**platform.variables(), **QUICK}
            command = Command(folder=home, variables=variables, program=HURRIED)
            command.write("sweep.toml", spec)
            processes = [] if names else [command.start("run", "sweep.toml", "--json")]
            schema = f"{server.url}?schema=equal_{number}"
            for name in names:
                words = ("run", "sweep.toml", "--shard", name, "--ledger", schema, "--json")
                processes.append(command.start(*words))
            if kills:
                wait_until(partial(_has_runs, platform, 4), "four runs")
                os.killpg(processes.pop().pid, signal.SIGKILL)
            outs = [process.communicate() for process in processes]
            assert {process.code for process in processes} == {0}, outs
            assert len(platform.runs()) == 16
        found.append(facts(home))
    assert found[1:] == found[:1] * 3
