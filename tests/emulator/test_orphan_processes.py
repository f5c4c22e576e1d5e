"""Processes that outlive their run, or the emulator that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from apify_emulator.processes.orphan_processes import kill_orphans
from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import process_lives, write_actor
from tests.support.command import LONGEST_SECS

DAEMON = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            api("PUT", STORE + "/records/PID", os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
    while b"PID" not in api("GET", STORE + "/keys"):
        time.sleep(0.02)
"""


async def _start(call: Caller, name: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
    reply = await call("POST", f"actors/~{name}/runs", json=json, **query)
    assert reply.status == 201, reply.body
    run: dict[str, Any] = reply.data
    return run


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "time.sleep(600)"])
async def test_process_that_daemonises_ends_with_its_run(
    tmp_path: Path, envs_dir: Path, end: str
) -> None:
    """A process with its own session and a double fork ends with its run."""
    actors = write_actor(tmp_path / "actors", "daemon", DAEMON + f"    {end}\n")
    async with calling(tmp_path / "data", actors_dirs=(actors,), envs_dir=envs_dir) as call:
        run = await _start(call, "daemon")
        record = f"actor-runs/{run['id']}/key-value-store/records/PID"
        with anyio.fail_after(LONGEST_SECS):
            while (kept := await call("GET", record)).status != 200:
                await call("GET", f"actor-runs/{run['id']}", waitForFinish=0.05)
        if "sleep" in end:
            await call("POST", f"actor-runs/{run['id']}/abort")
        with anyio.fail_after(LONGEST_SECS):
            await call.wait(run)
        assert not process_lives(kept.json())


def test_processes_of_ended_runs_are_found_at_the_next_start() -> None:
    """The run id in its environment identifies an orphan, whatever its parent is."""
    environment = {**os.environ, "ACTOR_RUN_ID": "an-ended-run"}
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert kill_orphans(["another-run"]) == 0
        assert kill_orphans(["another-run", "an-ended-run"]) == 1
        assert process.wait(10) == -signal.SIGKILL
