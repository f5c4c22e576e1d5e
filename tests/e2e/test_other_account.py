"""A token of another account, to which the platform does not show the runs of a batch."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.altered_answers import Answer, gateway
from tests.support.command import (
    BUSY_SECS,
    HURRIED,
    Command,
    ServedPlatform,
    served_platform,
    sweep,
    wait_until,
)

Stranger = Callable[[Callable[[Answer], None]], Command]
SOON_SECS = 30
REFUSAL = {"error": {"type": "insufficient-permissions", "message": "Not allowed"}}


def other_user(answer: Answer) -> None:
    if answer.path.endswith("/users/me"):
        user = json.loads(answer.body)
        user["data"]["id"] = "anotherUser00000"
        answer.body = json.dumps(user).encode()


def no_user(answer: Answer) -> None:
    if answer.path.endswith("/users/me"):
        answer.status, answer.body = 403, json.dumps(REFUSAL).encode()


@pytest.fixture
def stranger(tmp_path: Path, command: Command) -> Iterator[Stranger]:
    """Makes a command with the token of another account, of whose user it shows what is asked."""
    with ExitStack() as stack:
        other = stack.enter_context(served_platform(tmp_path / "other"))

        def make(alter: Callable[[Answer], None]) -> Command:
            url = stack.enter_context(gateway(other.url, alter))
            variables = {**other.variables(), "APIFY_API_BASE_URL": url}
            return replace(command, variables=variables, program=HURRIED)

        yield make


def interrupted(command: Command) -> None:
    """Leaves a batch of which two runs continue."""
    command.write("long.toml", sweep("long", jobs=2, duration_secs=600, items=1))
    process = command.start("run", "long.toml")
    log = command.folder / "output" / "long" / "latest" / "log.jsonl"
    wait_until(lambda: log.exists() and log.read_text().count('"run_started"') == 2, "two runs")
    process.send_signal(signal.SIGINT)
    process.communicate()


def test_token_of_another_account_is_named_before_its_answers_are_believed(
    command: Command, stranger: Stranger
) -> None:
    """Whatever asks for the runs of a batch says whose they are, and changes and claims nothing."""
    command.write("done.toml", sweep("done", jobs=2, duration_secs=0.01, items=1))
    command.run("run", "done.toml")
    interrupted(command)
    before = command.run("status", "long", "--json").json
    jobs = command.folder / "output" / "done" / "latest" / "jobs"
    (jobs / "job-1" / "items.jsonl").unlink()
    other = stranger(other_user)
    for words in (
        ("abort", "long"),
        ("resume", "long"),
        ("logs", "long", "job-1"),
        ("logs", "long", "job-1", "-f"),
        ("verify", "done", "--online"),
        ("collect", "done"),
    ):
        done = other.run(*words)
        assert (done.code, "and the token to anotherUser00000" in done.err) == (2, True), words
    (jobs / "job-1" / "items.jsonl").unlink(missing_ok=True)
    assert command.run("collect", "done").code == 0
    kept = other.run("prune", "done", "--keep-days", "0", "--delete-storages")
    assert "and the token to anotherUser00000" in kept.out
    after = command.run("status", "long", "--json").json
    assert (after["state"], after["jobs"]) == (before["state"], before["jobs"])


def test_collected_runs_of_another_account_are_not_called_lost(
    command: Command, platform: ServedPlatform, stranger: Stranger
) -> None:
    """A batch of foreign runs knows its platform and account too, in one call of a command."""
    run = platform.post("/acts/orchestrator~simulated/runs", {"items": 1})["id"]
    made = command.run("collect", "--runs", run, "--name", "theirs", "--json").json
    assert (made["platform"], made["calls"]) == (platform.url, 1)
    items = Path(made["folder"], "jobs", run, "items.jsonl")
    other = stranger(other_user)
    for words in (("logs", "theirs", run), ("verify", "theirs", "--online"), ("collect", "theirs")):
        done = other.run(*words)
        assert (done.code, "and the token to anotherUser00000" in done.err) == (2, True), words
        items.unlink(missing_ok=True)
    hidden = stranger(no_user).run("collect", "--runs", run, "--name", "hidden")
    assert (hidden.code, "Actor run was not found" in hidden.err) == (2, True), hidden.err


def test_abort_that_aborts_nothing_is_no_success(
    command: Command, platform: ServedPlatform, stranger: Stranger
) -> None:
    """If runs continue and cost money, `abort` ends with 1; a later one aborts them."""
    interrupted(command)
    done = stranger(no_user).run("abort", "long")
    assert (done.code, "2 runs continue at the platform" in done.err) == (1, True), done.err
    folder = command.folder / "output" / "long" / "latest"
    assert {run["status"] for run in platform.runs_of(folder)} == {"RUNNING"}
    assert command.run("abort", "long").code == 0
    assert {run["status"] for run in platform.runs_of(folder)} == {"ABORTED"}


def test_platform_that_is_away_is_reported_soon(command: Command) -> None:
    """A person who asks about a batch hears within half a minute that nobody answers."""
    interrupted(command)
    command.write("done.toml", sweep("done", jobs=1, duration_secs=0.01, items=1))
    command.run("run", "done.toml")
    variables = {**command.variables, "APIFY_API_BASE_URL": "http://127.0.0.1:9"}
    away = replace(command, variables=variables, program=HURRIED)
    began = time.monotonic()
    asked = [("abort", "long"), ("logs", "long", "job-1"), ("verify", "done", "--online")]
    for process in [away.start(*words) for words in asked]:
        _, err = process.communicate()
        assert (process.code, "no connection to 127.0.0.1:9" in err) == (5, True), err
    assert time.monotonic() - began < SOON_SECS + BUSY_SECS
    command.run("abort", "long")
