"""Answers with impossible items: the job says what is wrong, and the others continue."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from tests.support.altered_answers import Answer, gateway
from tests.support.command import Command, ServedPlatform, sweep

TOTAL = "X-Apify-Pagination-Total"
ITEMS = re.compile(r"/v2/datasets/([^/]+)/items")
Change = Callable[[Answer], None]


def total(reported: str) -> Change:
    def change(answer: Answer) -> None:
        answer.headers[TOTAL] = reported

    return change


def fewer(answer: Answer) -> None:
    kept = 0 if "offset=" in answer.path else 2
    answer.body = b"".join(answer.body.splitlines(keepends=True)[:kept])


def wrong_length(answer: Answer) -> None:
    answer.claims = len(answer.body) + 100


def encoding(answer: Answer) -> None:
    answer.headers["Content-Encoding"] = "zzz"


def endless(answer: Answer) -> None:
    answer.then = slowly(b'{"i":1}\n')


def slowly(piece: bytes) -> Iterator[bytes]:
    for one in repeat(piece * 1000):
        yield one
        time.sleep(0.001)


BAD: dict[str, tuple[Change, str]] = {
    "huge": (total("1" + "0" * 30), "an impossible number of items: '1000"),
    "float": (total("1e30"), "an impossible number of items: '1e30'"),
    "negative": (total("-5"), "an impossible number of items: '-5'"),
    "text": (total("many"), "an impossible number of items: 'many'"),
    "long": (total("9" * 5000), "an impossible number of items: '9999"),
    "fewer": (fewer, "counts 5 items and gives 2"),
    "length": (wrong_length, "in the middle of the answer"),
    "encoding": (encoding, "the answer has the encoding 'zzz', which was not asked for"),
    "endless": (endless, "counts 5 items and gives more than"),
}
NAMELESS = "nameless"


@pytest.fixture
def tampered(command: Command, platform: ServedPlatform) -> Iterator[Command]:
    """The command and a platform where each dataset has another fault, the last one none."""

    def tamper(answer: Answer) -> None:
        asked = ITEMS.match(answer.path)
        runs = {run["defaultDatasetId"]: run for run in platform.runs()} if asked else {}
        if asked is not None:
            key = name_of(platform, runs[asked[1]])
            if key in BAD:
                BAD[key][0](answer)
        elif b'"defaultDatasetId"' in answer.body:
            reported = json.loads(answer.body)
            if "items" not in reported["data"] and name_of(platform, reported["data"]) == NAMELESS:
                reported["data"]["defaultDatasetId"] = None
                answer.body = json.dumps(reported).encode()

    with gateway(platform.url, tamper) as url:
        variables = {
            **command.variables,
            "APIFY_API_BASE_URL": url,
            "ORCHESTRATOR_PLATFORM_AWAY_SECS": "3",
        }
        yield replace(command, variables=variables)


def name_of(platform: ServedPlatform, run: dict[str, Any]) -> str:
    """The name in the input of a run."""
    store = run["defaultKeyValueStoreId"]
    return str(platform.get(f"/key-value-stores/{store}/records/INPUT")["name"])


def test_impossible_answers_fail_only_their_own_jobs(tampered: Command) -> None:
    """Ten jobs fail with the reason, and one succeeds."""
    names = json.dumps([*BAD, NAMELESS, "good"])
    spec = sweep("bad", 1, duration_secs=0.1, items=5).replace(
        "n = { range = [1, 1] }", f"n = {names}"
    )
    tampered.write("s.toml", spec.replace("items = 5", 'items = 5, name = "{{ n }}"'))
    done = tampered.run("run", "s.toml", "--json")
    lines = (Path(done.json["folder"]) / "jobs.jsonl").read_text().splitlines()
    rows = map(json.loads, lines)
    reported = {row["key"].removeprefix("job-"): (row["status"], row["error"]) for row in rows}
    assert done.code == 1, (done.err, reported)
    assert reported.pop("good")[0] == "SUCCEEDED"
    assert "names no default dataset" in reported.pop(NAMELESS)[1]
    for key, (status, error) in reported.items():
        assert (status, BAD[key][1] in error) == ("FAILED", True), (key, error)
