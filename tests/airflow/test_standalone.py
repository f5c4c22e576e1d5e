"""
A real Airflow runs the DAG that `schedule airflow --shards 4` prints, and catches up three days.

`make test-airflow` starts it in a temporary folder. It takes minutes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_kills import QUICK
from tests.support.command import Command, ServedPlatform, served_platform, sweep, wait_until
from tests.support.postgres_server import running_server, why_absent

PYTHON = os.environ.get("ORCHESTRATOR_TEST_AIRFLOW")
DAYS, SHARDS, JOBS = 3, 4, 24
NIGHTLY = 'schedule = "0 0 * * *"\ntimezone = "UTC"\nmax_runs = 6'
RUNS = "SELECT state FROM dag_run ORDER BY logical_date"
TASKS = (
    "SELECT logical_date, map_index, task_instance.state, try_number FROM task_instance "
    "JOIN dag_run USING (dag_id, run_id) ORDER BY logical_date, map_index"
)
LONGEST_SECS = 420

pytestmark = [
    pytest.mark.skipif(
        PYTHON is None, reason="Airflow is not installed; make test-airflow runs this test"
    ),
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
]


def free_port() -> int:
    """A port that the system gives to no other program before Airflow uses it."""
    # Airflow answers half a minute later; ports from 32768 on may be taken by then.
    for port in random.sample(range(20_000, 30_000), 50):
        with suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def variables_of(home: Path, port: int) -> dict[str, str]:
    """The environment of Airflow: a folder and a port of its own."""
    return {
        "HOME": str(home),
        "PATH": f"{Path(str(PYTHON)).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


@contextmanager
def standalone(home: Path) -> Iterator[None]:
    """`airflow standalone`, ready to run tasks, until the end of the block."""
    port = free_port()
    with (home / "standalone.log").open("w") as log:
        process = subprocess.Popen(
            [Path(str(PYTHON)).with_name("airflow"), "standalone"],
            cwd=home,
            env=variables_of(home, port),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(home, lambda: is_healthy(port), "an API server and a scheduler")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def is_healthy(port: int) -> bool:
    """Whether Airflow can run tasks: those that it starts earlier fail without it."""
    url = f"http://127.0.0.1:{port}/api/v2/monitor/health"
    with suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(json.load(answer)["scheduler"]["status"] == "healthy")
    return False


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """The answer of Airflow's own database; nothing before there is one."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True)) as db,
    ):
        return db.execute(query).fetchall()
    return []


def process_of_shard(folder: Path, shard: str) -> int | None:
    """The process that runs a shard of the batch in a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode("utf-8", "replace").split("\0")
            ours = any(word.startswith(str(folder)) for word in words)
            if ours and "--shard" in words and shard in words and "-c" not in words:
                return int(path.parent.name)
    return None


def write_dag(folder: Path, platform: ServedPlatform, ledger: str) -> None:
    """Writes the DAG into the home of Airflow; its shards are tried again after two seconds."""
    command = Command(folder=folder)
    batch = sweep("nightly", JOBS, batch=NIGHTLY, duration_secs=1)
    command.write("nightly.toml", batch)
    secrets = {**platform.variables(), **QUICK, "ORCHESTRATOR_LEDGER": ledger}
    lines = [f"{name}='{value}'\n" for name, value in secrets.items()]
    command.write("secrets.env", "".join(lines))
    made = folder / "made"
    made.mkdir()
    begin = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    done = command.run(
        "schedule", "airflow", "nightly.toml", "--shards", str(SHARDS), "--catch-up",
        begin.isoformat(), "--to", made, "--jitter", "0", "--env-file",
        folder / "secrets.env",
    )  # fmt: skip
    assert done.code == 0, done.err
    (dag,) = made.iterdir()
    text = dag.read_text()
    assert "retry_delay=timedelta(seconds=60)" in text
    target = folder / "airflow" / "dags" / dag.name
    target.write_text(text.replace("seconds=60)", "seconds=2)"))


def wait_for(home: Path, holds: Callable[[], bool], what: str) -> None:
    """Waits, and shows the log of Airflow if that was in vain."""
    try:
        wait_until(holds, what, secs=LONGEST_SECS)
    except AssertionError:
        tail = (home / "standalone.log").read_text()[-4000:]
        raise AssertionError(f"{what}\n{rows(home, TASKS)}\n{tail}") from None


def test_airflow_catches_up_three_days_and_restarts_a_killed_shard(tmp_path: Path) -> None:
    """Twelve mapped tasks share three batches; a shard is killed; each job has one run."""
    with running_server() as server, served_platform(tmp_path / "platform") as platform:
        home = tmp_path / "airflow"
        (home / "dags").mkdir(parents=True)
        with standalone(home):
            write_dag(tmp_path, platform, server.url)
            victim: list[int] = []

            def find() -> bool:
                found = process_of_shard(tmp_path, f"2/{SHARDS}")
                victim.extend([] if found is None else [found])
                return bool(victim) and len(platform.runs()) >= SHARDS

            wait_for(home, find, "a shard at work")
            os.kill(victim[0], signal.SIGKILL)
            states = ("success", "failed")
            wait_for(
                home,
                lambda: [one for (one,) in rows(home, RUNS) if one in states][DAYS - 1 :] != [],
                "three runs of the DAG",
            )
            tasks = rows(home, TASKS)
            assert [state for (state,) in rows(home, RUNS)] == ["success"] * DAYS, tasks
        assert len(platform.runs()) == DAYS * JOBS
    assert [(index, state) for _, index, state, _ in tasks] == [
        (index, "success") for _ in range(DAYS) for index in range(SHARDS)
    ]
    assert sorted(tries for *_, tries in tasks) == [1] * (DAYS * SHARDS - 1) + [2]
    assert dict(batches(tmp_path)) == {
        datetime.now(UTC).date() - timedelta(days=ago): JOBS for ago in range(DAYS)
    }
    assert server.url.split("@")[0] not in (home / "standalone.log").read_text()


def batches(folder: Path) -> Iterator[tuple[date, int]]:
    """The day of each batch, and how many of its jobs succeeded."""
    for path in (folder / "output" / "nightly").glob("2*/summary.json"):
        summary = json.loads(path.read_text())
        occurrence = datetime.fromisoformat(summary["occurrence"])
        yield occurrence.astimezone(UTC).date(), summary["jobs"]["SUCCEEDED"]
