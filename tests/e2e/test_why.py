from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until


@contextmanager
def running(command: Command, text: str) -> Iterator[None]:
    """A live batch, which is ended at the end of the block."""
    command.write("s.toml", text)
    process = command.start("run", "s.toml")
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def why(command: Command, key: str) -> str:
    done = command.run("status", "waits", "--why", key)
    assert done.code in (0, 2), done.err
    return done.out


@pytest.mark.parametrize(
    ("batch", "job", "reason"),
    [
        ("max_runs = 2", "", "2 of 2 runs are in progress; jobs before it: 1"),
        ("max_memory_mbytes = 1024", "memory_mbytes = 512", "needs 512 MB, and 1024 of 1024 MB"),
        ("[pools]\nshop = { max_runs = 1 }", 'pools = ["shop"]', "pool shop has 1 of 1 runs"),
    ],
)
def test_status_says_what_a_job_waits_for(
    command: Command, batch: str, job: str, reason: str
) -> None:
    """It names the limit, while another process runs the batch."""
    with running(command, sweep("waits", 4, batch=batch, job=job, duration_secs=3600)):
        wait_until(lambda: reason in why(command, "job-4"), reason)
        run = "job-1 (RUNNING) waits for run "
        wait_until(lambda: run in why(command, "job-1"), run)
    assert "job-4 (WAITING) waits for a process: none runs the batch" in why(command, "job-4")


def test_status_says_when_the_next_attempt_is(command: Command) -> None:
    """For a job between two attempts, it shows the time and the failure."""
    rules = "rules = [{ backoff_secs = 900, max = 2 }]"
    with running(command, sweep("waits", 1, job=rules, outcome="FAILED", duration_secs=0.01)):
        wait_until(lambda: "waits for attempt 2, at 2" in why(command, "job-1"), "attempt 2")
        assert "after: run " in why(command, "job-1")


def test_settled_job_waits_for_nothing(command: Command, platform: ServedPlatform) -> None:
    """Every job has an answer, and a misspelt key gives the nearest one."""
    command.write("s.toml", sweep("waits", 2, duration_secs=0.01))
    assert command.run("run", "s.toml").code == 0
    assert "job-1 (SUCCEEDED) waits for nothing: it is settled" in why(command, "job-1")
    done = command.run("status", "waits", "--why", "job1")
    assert (done.code, "did you mean 'job-1'?" in done.err) == (2, True)
    facts = command.run("status", "waits", "--why", "job-2", "--json").json
    assert facts == {"job": "job-2", "status": "SUCCEEDED", "waits_for": "nothing: it is settled"}
