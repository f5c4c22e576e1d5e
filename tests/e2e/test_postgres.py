"""Batches whose ledgers are in PostgreSQL, beside those with ledgers in files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command, ServedPlatform, sweep, wait_until
from tests.support.postgres_server import PostgresServer

SECRET = "s3cret-of-test"


def facts_of(command: Command) -> list[dict[str, Any]]:
    """What the reports say of all jobs, without what differs between any two batches."""
    lines = (command.folder / "output/sweep/latest/jobs.jsonl").read_text().splitlines()
    names = ("key", "status", "attempts", "items", "bytes", "sha256")
    return [{name: job[name] for name in names} for job in map(json.loads, lines)]


def test_batch_is_the_same_with_either_ledger(command: Command, postgres_schema: str) -> None:
    """Jobs, statuses, items and checksums are equal, and each command works on both."""
    spec = sweep(jobs=4, duration_secs=0.1, items=3, cost_usd=0.5)
    command.write("sweep.toml", spec)
    assert command.run("run", "sweep.toml").code == 0
    expected = facts_of(command)
    there = replace(
        command,
        folder=command.folder / "there",
        variables={**command.variables, "ORCHESTRATOR_LEDGER": postgres_schema},
    )
    there.folder.mkdir()
    there.write("sweep.toml", spec)
    done = there.run("run", "sweep.toml", "--json")
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 4), done.err
    assert facts_of(there) == expected
    for words in (
        ("status", "sweep"), ("list",), ("verify", "sweep"), ("report", "sweep"),
        ("collect", "sweep"), ("resume", "sweep"), ("watch", "sweep"), ("abort", "sweep"),
        ("export", "sweep", "--format", "csv"), ("retry", "sweep"), ("plan", "sweep.toml"),
    ):  # fmt: skip
        answer = there.run(*words)
        assert answer.code == 0, (words, answer.err)
    assert there.run("plan", "sweep.toml", "--json").json["cost_usd"]["likely"] == 2.0
    assert not (there.folder / "output/sweep/latest/ledger.sqlite").exists()
    _assert_secret_stays(there.folder)


def _assert_secret_stays(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_server_that_is_restarted_repeats_no_start(
    command: Command, platform: ServedPlatform, server: PostgresServer
) -> None:
    """The server crashes in the middle of a batch: the batch waits, and ends as if it had not."""
    command.write("sweep.toml", sweep(jobs=12, batch="max_runs = 3", duration_secs=0.4, items=2))
    process = command.start("run", "sweep.toml", "--json", "--ledger", server.url)
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 3, "three runs")
    server.stop()
    wait_until(lambda: "ledger away" in process.errors(), "the notice")
    server.start()
    out, err = process.communicate()
    assert (process.code, json.loads(out)["jobs"]["SUCCEEDED"]) == (0, 12), err
    assert len(platform.runs_of(latest)) == 12
    assert SECRET not in err


def test_process_leaves_soon_while_the_server_is_away(
    command: Command, platform: ServedPlatform, server: PostgresServer
) -> None:
    """A signal is obeyed within seconds; the batch is resumed when the server is back."""
    command.write("sweep.toml", sweep(jobs=6, batch="max_runs = 2", duration_secs=0.4, items=2))
    words = ("--ledger", server.url, "--json")
    process = command.start("run", "sweep.toml", *words)
    latest = command.folder / "output/sweep/latest"
    wait_until(lambda: len(platform.runs_of(latest)) >= 2, "two runs")
    server.stop()
    wait_until(lambda: "ledger away" in process.errors(), "the notice")
    process.terminate()
    _, err = process.communicate()
    assert process.code in (5, 143), err
    assert "Traceback" not in err
    server.start()
    done = command.run("resume", "sweep", *words)
    assert (done.code, done.json["jobs"]["SUCCEEDED"]) == (0, 6), done.err
    assert len(platform.runs_of(latest)) == 6


def test_password_in_a_file_is_enough(
    command: Command, server: PostgresServer, tmp_path: Path
) -> None:
    """With PGPASSFILE, the URL needs no password, and later commands need no URL."""
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{server.port}:*:tester:{SECRET}\n")
    os.chmod(passwords, 0o600)  # noqa: PTH101 - libpq ignores a file that others may read
    mine = replace(command, variables={**command.variables, "PGPASSFILE": str(passwords)})
    mine.write("sweep.toml", sweep(jobs=1, duration_secs=0.1, items=1))
    url = server.url.replace(f":{SECRET}", "")
    assert mine.run("run", "sweep.toml", "--ledger", url).code == 0
    assert mine.run("status", "sweep").code == 0
    refused = command.run("status", "sweep/" + (mine.folder / "output/sweep/latest").resolve().name)
    assert refused.code == 2
    assert "PGPASSFILE" in refused.err


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("mysql://db/x", 2, "expected a URL such as postgresql://"),
        ("postgresql://me:wr0ng-word@127.0.0.1:1/x", 5, "127.0.0.1:1/x: the server of the ledger"),
    ],
    ids=["another database", "no server"],
)
def test_ledger_that_cannot_be_used_is_an_error(
    command: Command, url: str, code: int, words: str
) -> None:
    """The message says what to do, shows no password, and nothing is started."""
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.1, items=1))
    done = command.run("run", "sweep.toml", "--ledger", url)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "wr0ng-word" not in done.err


def test_pruned_batch_is_deleted_from_the_server(command: Command, server: PostgresServer) -> None:
    """No other machine finds it any more."""
    words = ("--ledger", server.url)
    command.write("sweep.toml", sweep(jobs=1, duration_secs=0.1, items=1))
    for _ in range(2):
        assert command.run("run", "sweep.toml", *words).code == 0
    elsewhere = command.run("prune", "sweep", "--keep-last", "1", "--output", "elsewhere", *words)
    assert elsewhere.code == 0, elsewhere.err
    listed = command.run("list", "--json", *words)
    assert len(listed.json["batches"]) == 1, listed.out


def test_batch_that_another_machine_pruned_is_gone_here_too(
    command: Command, server: PostgresServer
) -> None:
    """Its folder disturbs no command, and the next removal on this machine takes it."""
    words = ("--ledger", server.url)
    spec = sweep(jobs=1, duration_secs=0.1, items=1)
    command.write("sweep.toml", spec)
    for _ in range(2):
        assert command.run("run", "sweep.toml", *words).code == 0
    newest, old = batches_of(command)
    there = command.run("prune", "sweep", "--keep-last", "1", "--output", "elsewhere", *words)
    assert there.code == 0, there.err
    assert (newest.exists(), old.exists()) == (True, True)
    resume = ("run", "sweep.toml", "--resume", "--date", "2026-11-03")
    for call in (("list",), ("status", "sweep"), resume):
        done = command.run(*call, *words)
        assert (done.code, "folder_skipped" in done.err) == (0, False), done.err
    shown = command.run("status", str(old), *words)
    assert (shown.code, "`orchestrator prune` removes the folder too" in shown.err) == (2, True)
    pruned = command.run("prune", "sweep", "--keep-last", "9", "--json", *words)
    assert (pruned.code, len(pruned.json["removed"])) == (0, 1), pruned.out
    assert (newest.exists(), old.exists()) == (True, False)


def test_retention_removes_what_another_machine_pruned(
    command: Command, server: PostgresServer
) -> None:
    """Nobody calls `prune` on a machine with a timer."""
    words = ("--ledger", server.url)
    spec = sweep(jobs=1, duration_secs=0.1, items=1)
    command.write("sweep.toml", f"{spec}\n[retention]\nkeep_last = 9\n")
    for _ in range(2):
        assert command.run("run", "sweep.toml", *words).code == 0
    _, old = batches_of(command)
    there = command.run("prune", "sweep", "--keep-last", "1", "--output", "elsewhere", *words)
    assert there.code == 0, there.err
    assert command.run("run", "sweep.toml", *words).code == 0
    assert not old.exists()
    assert len(batches_of(command)) == 2


def batches_of(command: Command) -> list[Path]:
    """The folders of the batches of this machine, the newest first."""
    home = command.folder / "output" / "sweep"
    return sorted((one for one in home.glob("2*")), reverse=True)
