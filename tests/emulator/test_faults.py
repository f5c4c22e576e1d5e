"""Seeded faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from apify_emulator import FaultKind, FaultRule, Faults, SetupError, load_faults
from apify_emulator.faults import FaultPicker
from tests.emulator.caller import SIMULATED, Caller, calling


def _once(do: FaultKind, **more: Any) -> Faults:
    return Faults(rules=(FaultRule(do=do, path="/runs$", method="POST", nth=(1,), **more),))


async def _try_start(call: Caller) -> int:
    return (await call("POST", f"{SIMULATED}/runs", json={})).status


@pytest.mark.parametrize(
    ("fault", "status", "runs"),
    [
        (_once(FaultKind.RATE_LIMITED), 429, 0),
        (_once(FaultKind.ERROR_BEFORE, status=503), 503, 0),
        (_once(FaultKind.ERROR_AFTER, status=500), 500, 1),
        (_once(FaultKind.HTML), 502, 0),
        (_once(FaultKind.SLOW_HEADERS, secs=0.01), 201, 1),
        (_once(FaultKind.STALL, secs=0.01), 201, 1),
    ],
    ids=lambda value: str(value.rules[0].do) if isinstance(value, Faults) else "",
)
async def test_answer_fails_before_or_after_the_effect(
    tmp_path: Path, fault: Faults, status: int, runs: int
) -> None:
    """A fault applies to the matching request, and only to that one."""
    async with calling(tmp_path, faults=fault) as call:
        assert await _try_start(call) == status
        assert len(call.emulator.runs()) == runs
        assert await _try_start(call) == 201
        assert call.emulator.faults_injected == 1


@pytest.mark.parametrize(
    ("kind", "error", "runs"),
    [
        (FaultKind.RESET_BEFORE, aiohttp.ClientConnectionError, 0),
        (FaultKind.RESET_AFTER, aiohttp.ClientConnectionError, 1),
        (FaultKind.TRUNCATED, aiohttp.ClientPayloadError, 1),
        (FaultKind.BAD_GZIP, aiohttp.ClientPayloadError, 1),
    ],
)
async def test_answer_is_lost_before_or_after_the_effect(
    tmp_path: Path, kind: FaultKind, error: type[Exception], runs: int
) -> None:
    """A connection breaks, or a body cannot be read, with or without a run."""
    async with calling(tmp_path, faults=_once(kind)) as call:
        with pytest.raises(error):
            await _try_start(call)
        assert len(call.emulator.runs()) == runs


async def test_answer_is_garbage_after_its_effect(tmp_path: Path) -> None:
    """The start has its effect; its answer has the correct status and a meaningless body."""
    async with calling(tmp_path, faults=_once(FaultKind.GARBAGE, body='{"data": 7}')) as call:
        answer = await call("POST", f"{SIMULATED}/runs", json={})
        assert (answer.status, answer.json()) == (201, {"data": 7})
        assert len(call.emulator.runs()) == 1


async def test_items_are_cut_while_they_are_streamed(tmp_path: Path) -> None:
    """Half of the items arrive, then the connection ends."""
    async with calling(tmp_path) as call:
        run = await call.finish({"items": 9000})
        call.emulator.faults = Faults(
            rules=(FaultRule(do=FaultKind.TRUNCATED, path="/items", times=1),)
        )
        path = f"datasets/{run['defaultDatasetId']}/items"
        with pytest.raises(aiohttp.ClientPayloadError):
            await call("GET", path, format="jsonl")
        assert len((await call("GET", path, format="jsonl")).lines) == 9000


async def test_lists_and_counts_can_lag(tmp_path: Path) -> None:
    """New runs are missing from lists, and counts and costs lag, for the given time."""
    lagging = Faults(list_lag_secs=60, count_lag_secs=60, usage_lag_secs=60)
    async with calling(tmp_path, faults=lagging) as call:
        run = await call.finish({"cost_usd": 1})
        dataset = f"datasets/{run['defaultDatasetId']}"
        assert (await call("GET", "actor-runs")).data["total"] == 0
        assert (await call("GET", dataset)).data["itemCount"] == 0
        assert len((await call("GET", f"{dataset}/items")).json()) == 10
        assert "usageTotalUsd" not in (await call("GET", f"actor-runs/{run['id']}")).data
        call.emulator.faults = Faults()
        assert (await call("GET", "actor-runs")).data["total"] == 1
        assert (await call("GET", dataset)).data["itemCount"] == 10
        assert (await call("GET", f"actor-runs/{run['id']}")).data["usageTotalUsd"] == 1


def test_same_seed_gives_the_same_faults() -> None:
    """The seed decides which requests a rate selects."""

    def drawn(seed: int) -> list[bool]:
        rules = (FaultRule(do=FaultKind.RATE_LIMITED, rate=0.3),)
        picker = FaultPicker(Faults(seed=seed, rules=rules))
        return [picker.pick("GET", "/v2/x") is not None for _ in range(200)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90


def test_faults_are_read_from_a_file(tmp_path: Path) -> None:
    """A JSON file has the fields of the faults."""
    path = tmp_path / "faults.json"
    rules = [{"do": "reset-after", "method": "POST", "path": "/runs$", "rate": 0.1}]
    path.write_bytes(orjson.dumps({"seed": 3, "rules": rules, "list_lag_secs": 2}))
    faults = load_faults(path)
    assert (faults.seed, faults.list_lag_secs) == (3, 2)
    assert faults.rules[0].do is FaultKind.RESET_AFTER


@pytest.mark.parametrize(
    "text",
    [
        "{", '{"seeds": 1}', '{"rules": [{"do": "explode"}]}', '{"list_lag_secs": -1}',
        '{"rules": [{"do": "refuse", "path": "("}]}', '{"rules": [{"do": "html", "status": 9999}]}',
    ],
)  # fmt: skip
def test_file_of_faults_with_mistakes_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(SetupError, match=r"faults\.json"):
        load_faults(path)
