"""Unexpected answers about runs and records, for a command: each fails one job at most."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.altered_answers import Answer, gateway
from tests.support.command import Command, Done, ServedPlatform, sweep

Change = Callable[[Answer], None]
ALL = "collect = { output = true, live = true }"


def once(change: Change, part: str) -> Change:
    """Changes the first answer whose path has this part."""
    seen: list[str] = []

    def alter(answer: Answer) -> None:
        if part in answer.path and not seen:
            seen.append(answer.path)
            change(answer)

    return alter


def refuse(retry_after: str) -> Change:
    def change(answer: Answer) -> None:
        answer.status, answer.body = 503, b""
        answer.headers["Retry-After"] = retry_after

    return change


def ended(**fields: Any) -> Change:
    """Changes runs that have ended."""

    def change(answer: Answer) -> None:
        if "/v2/actor-runs/" in answer.path and b'"finishedAt":"' in answer.body:
            reported = orjson.loads(answer.body)
            reported["data"].update(fields)
            # The standard library writes whole numbers of any length.
            answer.body = json.dumps(reported).encode()

    return change


def nameless(part: str) -> Change:
    """Removes the storages of a run from the answers that have this part."""

    def change(answer: Answer) -> None:
        if part.encode() in answer.body:
            reported = orjson.loads(answer.body)
            for name in ("defaultDatasetId", "defaultKeyValueStoreId", "storageIds"):
                reported["data"].pop(name, None)
            answer.body = json.dumps(reported).encode()

    return change


def endless_keys(answer: Answer) -> None:
    if answer.path.partition("?")[0].endswith("/keys"):
        page = {"items": [{"key": "a"}], "isTruncated": True, "nextExclusiveStartKey": "a"}
        answer.body = json.dumps({"data": {**page, "count": 1, "limit": 1000}}).encode()


def run_through(change: Change, command: Command, platform: ServedPlatform) -> Done:
    """Runs `s.toml` behind a gateway that changes answers."""
    with gateway(platform.url, change) as url:
        asking = replace(command, variables={**command.variables, "APIFY_API_BASE_URL": url})
        return asking.run("run", "s.toml", "--json")


@pytest.mark.parametrize(
    ("change", "job", "code", "status", "words"),
    [
        (once(refuse("9" * 400), "/v2/actor-runs/"), "", 0, "SUCCEEDED", ""),
        (
            once(refuse("Fri, 31 Dec 2100 23:59:59 GMT"), "/items"), "", 0, "SUCCEEDED", ""
        ),
        (ended(exitCode=12345678901234567890), "", 0, "SUCCEEDED", ""),
        (ended(usageTotalUsd=1e300, stats="none"), "", 0, "SUCCEEDED", ""),
        (
            ended(storageIds={"datasets": ["d1"]}), 'collect = { datasets = ["*"] }', 0,
            "SUCCEEDED", "",
        ),
        (ended(status="EVICTED"), "", 1, "FAILED", "this version does not know"),
        (once(nameless("defaultDatasetId"), "/runs"), ALL, 0, "SUCCEEDED", ""),
        (nameless('"finishedAt":"'), ALL, 0, "SUCCEEDED", ""),
        (
            endless_keys, 'collect = { records = ["*"] }', 1, "FAILED", "its keys does not end"
        ),
    ],
    ids=["digits", "far date", "exit code", "cost", "storages", "status", "start", "end", "keys"],
)  # fmt: skip
def test_unexpected_answer_fails_its_job_at_most(
    command: Command,
    platform: ServedPlatform,
    change: Change,
    job: str,
    code: int,
    status: str,
    words: str,
) -> None:
    """The command ends soon, with a code and a message, and has one run."""
    command.write("s.toml", sweep("odd", 1, job=job, duration_secs=0.01, items=3))
    began = time.monotonic()
    done = run_through(change, command, platform)
    assert done.code == code, done.err
    (row,) = map(json.loads, (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines())
    assert row["status"] == status
    assert words in (row["error"] or "")
    assert row["dataset_id"]
    assert done.json["runs"] == 1
    assert time.monotonic() - began < 45


def test_collect_finds_storages_that_no_answer_named(
    command: Command, platform: ServedPlatform
) -> None:
    """The job fails, and later commands know the dataset that `collect` has read."""
    command.write("s.toml", sweep("odd", 1, job=ALL, duration_secs=0.01, items=3))
    done = run_through(nameless("defaultDatasetId"), command, platform)
    assert (done.code, "an empty name or id" in done.err) == (1, True), done.err
    assert command.run("collect", "odd", "--json").json["items"] == 3
    assert command.run("verify", "odd", "--online").code == 0
    assert json.loads((Path(done.json["folder"]) / "jobs.jsonl").read_text())["dataset_id"]
