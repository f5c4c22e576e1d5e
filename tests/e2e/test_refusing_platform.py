"""Actors, datasets, runs and plans that the platform refuses during a batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import QUICK
from tests.support.command import HURRIED, Command, ServedPlatform, served_platform, sweep

STARTS = "/acts/[^/]+/runs$"
RENT = "You must rent a paid Actor in order to run it."
URL = "https://console.example/approve/7"
Make = Callable[..., tuple[Command, ServedPlatform]]


def jobs_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (Path(folder) / "jobs.jsonl").read_text().splitlines()]


def counts(summary: dict[str, Any]) -> dict[str, int]:
    return {status: count for status, count in summary["jobs"].items() if count}


@contextmanager
def refusing(folder: Path, **rule: Any) -> Iterator[tuple[Command, ServedPlatform]]:
    """A platform that refuses something, and the command; `allowing` is the same one later."""
    faults = folder / "faults.json"
    faults.write_text(json.dumps({"rules": [rule]}))
    with served_platform(folder / "platform", "--faults", str(faults)) as platform:
        yield _command(folder, platform), platform


@contextmanager
def allowing(folder: Path) -> Iterator[tuple[Command, ServedPlatform]]:
    with served_platform(folder / "platform") as platform:
        yield _command(folder, platform), platform


def _command(folder: Path, platform: ServedPlatform) -> Command:
    return Command(folder=folder, variables={**platform.variables(), **QUICK}, program=HURRIED)


def two_actors(command: Command, platform: ServedPlatform, bad: int) -> None:
    """Three jobs of an Actor, and some of a task that the platform may refuse."""
    platform.post(
        "/actor-tasks",
        {"actId": "orchestrator~simulated", "name": "rented", "input": {"duration_secs": 0.01}},
    )
    command.write(
        "s.toml",
        sweep("mixed", 3, batch="max_runs = 1", duration_secs=0.05, items=2)
        + '[[jobs]]\nname = "rented-{{ n }}"\ntask = "local/rented"\npriority = 1\n'
        + f"matrix = {{ n = {{ range = [1, {bad}] }} }}\n",
    )


def test_used_up_plan_stops_the_batch(tmp_path: Path) -> None:
    """The plan ends the batch with 3 and a message; runs are collected, and resume continues."""
    message = "Monthly usage hard limit exceeded"
    rule = {"do": "refuse", "path": STARTS, "after": 4, "status": 403, "message": message}
    with refusing(tmp_path, **rule, method="POST", type="platform-feature-disabled") as (
        command,
        _,
    ):
        text = sweep("plan", 12, batch="max_runs = 4", duration_secs=0.3, items=2)
        command.write("s.toml", text)
        done = command.run("run", "s.toml", "--json")
        assert done.code == 3, done.err
        assert message in done.err
        assert counts(done.json) == {"SUCCEEDED": 4, "NOT-STARTED": 8}
    with allowing(tmp_path) as (command, platform):
        again = command.run("resume", "plan", "--json")
        assert (again.code, counts(again.json)) == (0, {"SUCCEEDED": 12}), again.err
        assert len(platform.runs()) == 12


@pytest.mark.parametrize(
    ("kind", "url"), [("actor-is-not-rented", ""), ("full-permission-actor-not-approved", URL)]
)
def test_refused_actor_fails_only_its_own_jobs(tmp_path: Path, kind: str, url: str) -> None:
    """After two equal refusals, its other jobs are not sent; others end; retry starts them."""
    rule = {"do": "refuse", "path": "/actor-tasks/local~rented/runs", "status": 403, "type": kind}
    with refusing(tmp_path, **rule, message=RENT, approval_url=url) as (command, platform):
        two_actors(command, platform, bad=6)
        done = command.run("run", "s.toml", "--json")
        assert (done.code, counts(done.json)) == (1, {"SUCCEEDED": 3, "FAILED": 6}), done.err
        assert (done.err.count(RENT), done.err.count(URL)) == (1, 1 if url else 0)
        rented = jobs_of(done.json["folder"])[3:]
        assert [job["attempts"] for job in rented] == [1, 1, 0, 0, 0, 0]
        assert all(RENT in job["error"] and url in job["error"] for job in rented)
        assert len(platform.runs()) == 3
    with allowing(tmp_path) as (command, platform):
        again = command.run("retry", "mixed", "--json")
        assert (again.code, counts(again.json)) == (0, {"SUCCEEDED": 9}), again.err
        assert len(platform.runs()) == 9


def test_refused_input_fails_only_its_own_job(faulty: Make) -> None:
    """Refused inputs fail their own jobs, however many there are in a row."""
    rule = {"do": "refuse", "path": STARTS, "nth": [1, 2, 3, 4], "status": 400}
    command, platform = faulty({**rule, "type": "some-new-type", "method": "POST"})
    command.write("s.toml", sweep("input", 6, batch="max_runs = 1", duration_secs=0.01))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, counts(done.json)) == (1, {"SUCCEEDED": 2, "FAILED": 4}), done.err
    assert len(platform.runs()) == 2


@pytest.mark.parametrize(
    ("status", "kind", "times"),
    [
        (409, "some-new-type", 1),
        (423, "some-new-type", 2),
        (400, "concurrent-update-detected", 1),
        (409, "some-new-type", 99),
    ],
)
def test_start_that_is_refused_because_of_a_conflict_is_tried_again(
    faulty: Make, status: int, kind: str, times: int
) -> None:
    """A conflict may pass: its job waits for that a while, and the others continue."""
    path = "/actor-tasks/local~rented/runs"
    rule = {"do": "refuse", "path": path, "status": status, "times": times}
    command, platform = faulty({**rule, "type": kind, "message": "It is locked."})
    two_actors(command, platform, bad=1)
    done = command.run("run", "s.toml", "--json")
    failed = {"FAILED": 1} if times == 99 else {}
    assert (done.code, counts(done.json)) == (len(failed), {"SUCCEEDED": 4 - len(failed), **failed})
    assert ("not started: It is locked." in done.err) == bool(failed), done.err
    assert len(platform.runs()) == 4 - len(failed)


@pytest.mark.parametrize(
    ("path", "status", "kind", "code"),
    [
        ("/v2/acts/", 403, "insufficient-permissions", 2),
        ("/v2/acts/", 400, "some-new-type", 2),
        ("/v2/acts/", 401, "invalid-token", 5),
        ("/users/me", 401, "user-or-token-not-found", 5),
        ("/users/me", 403, "insufficient-permissions", 0),
        ("/users/me", 404, "page-not-found", 0),
    ],
)
@pytest.mark.parametrize(
    "words", ["run s.toml", "plan s.toml --online", "validate s.toml --online"]
)
def test_refused_look_up_is_an_error_before_any_start(
    faulty: Make, path: str, status: int, kind: str, code: int, words: str
) -> None:
    """An unreadable Actor ends with 2, a refused token with 5; the account is optional."""
    rule = {"do": "refuse", "method": "GET", "path": path, "status": status, "type": kind}
    command, platform = faulty({**rule, "message": "Look up refused."})
    command.write("s.toml", sweep("look", 2, duration_secs=0.01))
    done = command.run(*words.split())
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    if code:
        assert "Look up refused." in done.err
        assert platform.runs() == []


def test_token_that_may_not_read_its_account_is_no_platform_that_is_away(faulty: Make) -> None:
    """`doctor` and `run --resume` say that the account cannot be read, and continue."""
    rule = {"do": "refuse", "method": "GET", "path": "/users/me", "status": 403}
    command, _ = faulty({**rule, "type": "insufficient-permissions", "message": "Not allowed."})
    command.write("s.toml", sweep("scoped", 1, duration_secs=0.01))
    done = command.run("doctor", "--json")
    assert done.code == 0, done.out
    found = {check["about"]: check for check in done.json["checks"]}
    assert "platform" not in found
    assert found["token"]["state"] == "warning"
    assert "Not allowed." in found["token"]["found"]
    assert {"limits", "clock"} <= found.keys()
    done = command.run("run", "s.toml", "--resume")
    assert done.code == 0, done.err
    assert "account not read" in done.err
    assert "platform not reached" not in done.err


def test_platform_error_at_look_up_is_not_a_bug(faulty: Make) -> None:
    """If every look-up of an Actor fails, the command ends with 5 and the platform's message."""
    rule = {"do": "error-before", "method": "GET", "path": "/v2/acts/", "status": 500}
    command, _ = faulty(rule)
    command.write("s.toml", sweep("look", 2, duration_secs=0.01))
    done = command.run("run", "s.toml")
    assert done.code == 5, done.err
    assert "An unexpected error occurred" in done.err


def with_short_pauses(made: tuple[Command, ServedPlatform]) -> tuple[Command, ServedPlatform]:
    command, platform = made
    return replace(command, program=HURRIED), platform


READS = {
    "dataset": ("/v2/datasets/[^/]+/items", "GET", ""),
    "run": ("/v2/actor-runs/[^/]+$", "GET", ""),
    "log": ("/v2/logs/", "GET", "collect = { log = true }"),
    "keys": ("/keys$", "GET", 'collect = { records = ["*"] }'),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("status", [400, 403, 404])
def test_unexpected_answers_to_reads_are_repeated(faulty: Make, read: str, status: int) -> None:
    """One refusal of a poll, dataset, log or list of keys changes nothing."""
    path, method, job = READS[read]
    rule = {"do": "refuse", "method": method, "path": path, "status": status, "times": 2}
    command, platform = with_short_pauses(faulty({**rule, "type": "insufficient-permissions"}))
    command.write("s.toml", sweep("odd", 2, job=job, duration_secs=0.01, items=3, output=1))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, counts(done.json)) == (0, {"SUCCEEDED": 2}), done.err
    assert len(platform.runs()) == 2


@pytest.mark.parametrize("read", READS)
def test_refused_read_fails_its_job_without_a_second_run(tmp_path: Path, read: str) -> None:
    """A lasting refusal fails its job, retry reads it again, and it is never paid for twice."""
    path, method, job = READS[read]
    rule = {"do": "refuse", "method": method, "path": path, "status": 403}
    with refusing(tmp_path, **rule, type="insufficient-permissions") as (command, platform):
        job = f"retries = 3\n{job}"
        text = sweep("refused", 1, job=job, duration_secs=0.01, items=3, output=1)
        command.write("s.toml", text)
        done = command.run("run", "s.toml", "--json")
        assert (done.code, counts(done.json)) == (1, {"FAILED": 1}), done.err
        assert command.run("collect", "refused").code == 1
        again = command.run("retry", "refused", "--json")
        assert (again.code, counts(again.json)) == (1, {"FAILED": 1}), again.err
        assert len(platform.runs()) == 1
    with allowing(tmp_path) as (command, platform):
        again = command.run("retry", "refused", "--json")
        assert (again.code, counts(again.json)) == (0, {"SUCCEEDED": 1}), again.err
        assert (len(platform.runs()), again.json["items"]) == (1, 3)


def test_refused_dataset_does_not_affect_the_others(faulty: Make) -> None:
    """A dataset that stays refused fails its job; the other results are on disk."""
    rule = {"do": "refuse", "method": "GET", "path": "/datasets/[^/]+/items", "nth": [2, 4, 5, 6]}
    command, platform = with_short_pauses(
        faulty({**rule, "status": 403, "type": "insufficient-permissions"})
    )
    command.write("s.toml", sweep("one", 3, batch="max_runs = 1", duration_secs=0.01, items=2))
    done = command.run("run", "s.toml", "--json")
    assert done.code == 1, done.err
    assert counts(done.json) == {"SUCCEEDED": 2, "FAILED": 1}
    assert len(platform.runs()) == 3


def test_refused_abort_does_not_hang_the_deadline(faulty: Make) -> None:
    """A run that cannot be aborted at the deadline stays live; the batch ends with 3."""
    rule = {"do": "refuse", "path": "/abort$", "status": 403, "type": "insufficient-permissions"}
    command, platform = with_short_pauses(faulty(rule))
    text = sweep("late", 1, batch="deadline_secs = 1", job="retries = 1", duration_secs=3600)
    command.write("s.toml", text)
    done = command.run("run", "s.toml", "--json")
    assert done.code == 3, done.err
    assert "run not aborted" in done.err
    assert [run["status"] for run in platform.runs()] == ["RUNNING"]


@pytest.mark.parametrize("status", [400, 402, 404, 413, 429, 500])
@pytest.mark.parametrize("job", ["", 'mode = "sync"\nmemory_mbytes = 128'], ids=["async", "sync"])
def test_page_after_the_effect_never_starts_a_second_run(
    faulty: Make, status: int, job: str
) -> None:
    """A start that had an effect and got a gateway's page is found and followed."""
    path = "/acts/[^/]+/run(s|-sync)"
    rule = {"do": "html-after", "method": "POST", "path": path, "status": status, "rate": 0.5}
    command, platform = with_short_pauses(faulty(rule))
    command.write("s.toml", sweep("page", 8, job=job, duration_secs=0.05, items=2, output=1))
    done = command.run("run", "s.toml", "--json")
    assert (done.code, counts(done.json)) == (0, {"SUCCEEDED": 8}), done.err
    starts = Counter(run["meta"]["userAgent"].rsplit(".", 1)[0] for run in platform.runs())
    assert sorted(starts.values()) == [1] * 8


def test_gateway_that_answers_every_start_fails_no_job(tmp_path: Path) -> None:
    """A page as the answer to all starts means that the platform is away: exit 5, and resume."""
    rule = {"do": "html", "method": "POST", "path": STARTS, "status": 404}
    with refusing(tmp_path, **rule) as (command, platform):
        away = {**command.variables, "ORCHESTRATOR_PLATFORM_AWAY_SECS": "6"}
        command.write("s.toml", sweep("gateway", 12, batch="max_runs = 6", duration_secs=0.01))
        done = replace(command, variables=away).run("run", "s.toml", "--json")
        assert done.code == 5, done.err
        assert "HTML page" in done.err
        assert "FAILED" not in counts(done.json)
        assert platform.runs() == []
    with allowing(tmp_path) as (command, platform):
        again = command.run("resume", "gateway", "--json")
        assert (again.code, counts(again.json)) == (0, {"SUCCEEDED": 12}), again.err
        assert len(platform.runs()) == 12
