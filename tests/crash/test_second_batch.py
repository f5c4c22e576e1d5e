"""Two calls for one occurrence: one is paused while it makes the batch, the other one runs it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.test_closing_process import PAUSED
from tests.support.command import Command, ServedPlatform, served_platform, sweep, wait_until
from tests.support.postgres_server import PostgresServer

JOBS = 2
DATES = ("--dates", "2026-11-01..2026-11-02")
SPEC = sweep(jobs=JOBS, batch='schedule = "0 0 * * *"', duration_secs=0)


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has stopped a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def run_beside_paused(
    command: Command, folders: Sequence[str], words: Sequence[str]
) -> tuple[int, str]:
    """Runs one call to its end while another one is paused; returns how that one ends."""
    calls = [replace(command, folder=command.folder / name) for name in folders]
    for call in calls:
        call.folder.mkdir(exist_ok=True)
        call.write("sweep.toml", SPEC)
    first, second = calls
    paused = replace(first, program=PAUSED).start("batch-prepared", "run", "sweep.toml", *words)
    wait_until(lambda: is_stopped(paused.pid), "a call that is about to publish its batch")
    done = second.run("run", "sweep.toml", *words)
    assert done.code == 0, done.err
    paused.send_signal(signal.SIGCONT)
    _, errors = paused.communicate()
    return paused.code, errors


def make_command(folder: Path, platform: ServedPlatform, **variables: str) -> Command:
    """The command, for calls in folders below this one."""
    return Command(folder=folder, variables={**platform.variables(), **variables})


def test_days_of_two_calls_run_once(tmp_path: Path) -> None:
    """The call that was slower finds the day done, and starts none of its jobs again."""
    with served_platform(tmp_path / "platform") as platform:
        command = make_command(tmp_path, platform)
        code, errors = run_beside_paused(command, ("here", "here"), DATES)
        assert (code, len(platform.runs())) == (0, 2 * JOBS), errors
        assert "2026-11-01: skipped" in errors


@pytest.mark.parametrize("words", [("--resume",), DATES], ids=["resume", "dates"])
def test_occurrence_of_two_machines_runs_once(
    tmp_path: Path, server: PostgresServer, words: Sequence[str]
) -> None:
    """One timer on two machines, and one ledger at a server: one batch, and both end with 0."""
    with served_platform(tmp_path / "platform") as platform:
        command = make_command(tmp_path, platform, ORCHESTRATOR_LEDGER=server.url)
        code, errors = run_beside_paused(command, ("one", "other"), words)
        batches = 2 if words == DATES else 1
        assert (code, len(platform.runs())) == (0, batches * JOBS), errors


def test_shard_says_that_it_waits_for_one_that_is_paused(
    tmp_path: Path, server: PostgresServer
) -> None:
    """The process that makes their batch is stopped just then; awake, both work on one batch."""
    with served_platform(tmp_path / "platform") as platform:
        command = make_command(tmp_path, platform, ORCHESTRATOR_LEDGER=server.url)
        command.write("sweep.toml", SPEC)
        words = ("run", "sweep.toml", "--shard")
        first = replace(command, program=PAUSED).start("batch-prepared", *words, "1/2")
        wait_until(lambda: is_stopped(first.pid), "a call that is about to publish its batch")
        other = command.start(*words, "2/2")
        wait_until(lambda: "another process is making the batch" in other.errors(), "the words")
        first.send_signal(signal.SIGCONT)
        errors = [process.communicate()[1] for process in (first, other)]
        assert [first.code, other.code, len(platform.runs())] == [0, 0, JOBS], errors
