"""No request makes the emulator fail: whatever is wrong with it gets a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

from apify_emulator.api.routes import all_routes
from tests.emulator.caller import Caller, calling

FIELDS = (
    "name", "title", "description", "generalAccess", "input", "options", "actId", "eventTypes",
    "requestUrl", "condition", "payloadTemplate", "idempotencyKey", "url", "uniqueKey", "method",
    "userData", "handledAt", "id", "statusMessage", "isStatusMessageTerminal", "eventName", "count",
    "maxMonthlyUsageUsd", "dataRetentionDays", "pricingInfos", "rules", "advanceSecs", "maxRuns",
)  # fmt: skip
VALUES = ([None, None], {"a": [1]}, 10**30, -1, None, "", "\u0000")
PARAMETERS = (
    "offset", "limit", "desc", "timeout", "memory", "maxItems", "maxTotalChargeUsd", "build",
    "webhooks", "fields", "unwind", "flatten", "format", "lockSecs", "startedAfter",
    "status", "signature", "exclusiveStartKey", "clientKey", "unnamed", "delimiter",
)  # fmt: skip
PRICINGS: tuple[dict[str, Any], ...] = (
    {"pricingModel": []},
    {"pricingModel": "FREE", "startedAt": 5},
    {"pricingModel": "FREE", "minimalMaxTotalChargeUsd": ""},
    {"pricingModel": "PRICE_PER_DATASET_ITEM", "tieredPricing": 5},
    {"pricingModel": "PRICE_PER_DATASET_ITEM", "tieredPricing": {"FREE": 5}},
    {"pricingModel": "PAY_PER_EVENT", "pricingPerEvent": "x"},
    {"pricingModel": "PAY_PER_EVENT", "pricingPerEvent": {"actorChargeEvents": {"page": 1}}},
)
NUMBERS = ("2e250", "-1", "nan", "9" * 400, "[]", "2026-13-45")


async def _ids(call: Caller) -> dict[str, str]:
    run = await call.start({"duration_secs": 600})
    task = {"actId": "orchestrator/simulated", "name": "hostile"}
    hook = {"eventTypes": ["TEST"], "requestUrl": "http://127.0.0.1:9", "condition": {}}
    return {
        "actorId": "orchestrator~simulated",
        "actorTaskId": (await call("POST", "actor-tasks", json=task)).data["id"],
        "runId": run["id"],
        "datasetId": run["defaultDatasetId"],
        "storeId": run["defaultKeyValueStoreId"],
        "queueId": run["defaultRequestQueueId"],
        "webhookId": (await call("POST", "webhooks", json=hook)).data["id"],
        "buildId": run["buildId"],
    }


async def _each_path(call: Caller, methods: frozenset[str]) -> list[tuple[str, str]]:
    """Returns the endpoints with real ids; those below a run repeat those of storages."""
    ids = await _ids(call)
    found = []
    for method, route in all_routes().all_routes():
        if method not in methods or "runs/" in route.template or "__" in route.template:
            continue
        parts = [ids.get(part[1:-1], "x") if part[0] == "{" else part for part in
                 route.template.split("/")]  # fmt: skip
        found.append((method, "/".join(parts)))
    return sorted(found)


@pytest.mark.timeout(120)
async def test_no_body_makes_the_emulator_fail(tmp_path: Path) -> None:
    """Every field with a value of every kind is accepted or refused, never an error of a server."""
    async with calling(tmp_path, max_runs=2) as call:
        for method, path in await _each_path(call, frozenset({"POST", "PUT"})):
            bodies: list[Any] = [[], "x", 1]
            bodies += [dict.fromkeys(FIELDS, value) for value in VALUES]
            if method == "PUT":
                # One by one, because a field that is refused hides the others.
                bodies += [{name: VALUES[0]} for name in FIELDS]
            for body in bodies:
                raw = b'{"a": 1e999}' if body == 1 else None
                reply = await call(
                    method, path, json=None if raw else _finite(body), body=raw, waitForFinish=0
                )
                assert reply.status < 500, (method, path, body)


@pytest.mark.timeout(120)
async def test_no_parameter_makes_the_emulator_fail(tmp_path: Path) -> None:
    """Numbers that no variable holds, and texts where numbers belong, are refused."""
    async with calling(tmp_path, max_runs=2) as call:
        for method, path in await _each_path(call, frozenset({"GET"})):
            for text in NUMBERS:
                for names in (PARAMETERS, PARAMETERS[:2]):
                    parameters: dict[str, Any] = dict.fromkeys(names, text)
                    reply = await call(method, path, **parameters)
                    assert reply.status < 500, (method, path, text)


@pytest.mark.parametrize("pricing", PRICINGS)
async def test_no_pricing_makes_the_emulator_fail(tmp_path: Path, pricing: dict[str, Any]) -> None:
    """A pricing with a field of another type is refused, before a start needs it."""
    async with calling(tmp_path) as call:
        reply = await call("PUT", "actors/orchestrator~simulated", json={"pricingInfos": [pricing]})
        assert reply.error == (400, "invalid-input")
        await call.start({}, maxTotalChargeUsd=1)


async def test_address_of_a_webhook_that_is_no_url_is_refused(tmp_path: Path) -> None:
    """A bracket that nothing closes is a mistake of the caller."""
    hook = {"eventTypes": ["TEST"], "requestUrl": "http://[x", "condition": {}}
    async with calling(tmp_path) as call:
        assert (await call("POST", "webhooks", json=hook)).error == (400, "invalid-input")


async def test_bytes_that_are_not_http_are_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A scanner of ports gets 400, and the terminal of the emulator stays quiet."""
    async with calling(tmp_path) as call:
        address = URL(call.emulator.url)
        for head in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n"):
            async with await anyio.connect_tcp(str(address.host), address.port or 0) as stream:
                await stream.send(head)
                assert b" 400 " in await stream.receive()
    assert caplog.records == []


def _finite(body: Any) -> Any:
    """Returns a body that orjson can write; it refuses integers beyond 64 bits."""
    if isinstance(body, dict):
        return {name: 1.0e30 if value == 10**30 else value for name, value in body.items()}
    return body
