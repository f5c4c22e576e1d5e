"""Starting runs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.emulator.caller import SIMULATED, calling


async def test_start_answers_the_new_run_and_its_location(tmp_path: Path) -> None:
    """A start is answered with 201, the run and its URL."""
    async with calling(tmp_path) as call:
        reply = await call(
            "POST", f"{SIMULATED}/runs", json={"items": 1}, headers={"User-Agent": "mark-7"}
        )
        run = reply.data
        assert reply.status == 201
        assert reply.headers["Location"].endswith(f"/runs/{run['id']}")
        assert run["meta"]["userAgent"] == "mark-7"
        assert run["options"]["memoryMbytes"] == 1024


@pytest.mark.parametrize("root", ["acts", "actors"])
@pytest.mark.parametrize("name", ["orchestrator~simulated", "by-id"])
async def test_start_accepts_each_form_of_reference(tmp_path: Path, root: str, name: str) -> None:
    """Actors are found by id and by name, with the old and the new path."""
    async with calling(tmp_path) as call:
        if name == "by-id":
            name = (await call("GET", SIMULATED)).data["id"]
        reply = await call("POST", f"{root}/{name}/runs", json={})
        assert reply.status == 201


async def test_start_waits_with_wait_for_finish(tmp_path: Path) -> None:
    """With waitForFinish the answer follows the end of the run; the wait has a limit."""
    async with calling(tmp_path) as call:
        run = await call.start({"duration_secs": 0.02}, waitForFinish=999_999)
        assert run["status"] == "SUCCEEDED"


async def test_start_takes_the_options_of_the_query(tmp_path: Path) -> None:
    """Options come from the query."""
    async with calling(tmp_path) as call:
        run = await call.start({}, memory=256, timeout=12, maxItems=5, maxTotalChargeUsd=0.5)
        assert run["options"] == {
            "build": "latest",
            "timeoutSecs": 12,
            "memoryMbytes": 256,
            "diskMbytes": 512,
            "maxItems": 5,
            "maxTotalChargeUsd": 0.5,
        }


@pytest.mark.parametrize(
    ("query", "error_type"),
    [
        ({"memory": "100"}, "invalid-input"),
        ({"memory": "65536"}, "invalid-input"),
        ({"memory": "lots"}, "invalid-input"),
        ({"timeout": "-1"}, "invalid-input"),
        ({"timeout": "nan"}, "invalid-input"),
        ({"waitForFinish": "-1"}, "invalid-input"),
        ({"restartOnError": "maybe"}, "invalid-input"),
        ({"maxItems": "0"}, "max-items-must-be-greater-than-zero"),
        ({"maxTotalChargeUsd": "0"}, "max-total-charge-usd-must-be-greater-than-zero"),
        ({"forcePermissionLevel": "ROOT"}, "invalid-input"),
        ({"webhooks": "%%%"}, "invalid-input"),
        ({"webhooks": base64.b64encode(b'[{"eventTypes": []}]').decode()}, "invalid-input"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_start_refuses_options_that_are_not_valid(
    tmp_path: Path, query: dict[str, Any], error_type: str
) -> None:
    """A wrong option is refused and nothing is started."""
    async with calling(tmp_path) as call:
        reply = await call("POST", f"{SIMULATED}/runs", json={}, **query)
        assert reply.error == (400, error_type)
        assert call.emulator.runs() == []


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        (b"{", "run-input-body-not-valid-json"),
        (b"[1]", "input-json-not-object"),
        (b'{"items": -1}', "invalid-input"),
        (b'{"items": "ten"}', "invalid-input"),
        (b'{"outcome": "DONE"}', "invalid-input"),
    ],
)
async def test_start_refuses_input_that_is_not_valid(
    tmp_path: Path, body: bytes, error_type: str
) -> None:
    """A wrong input is refused and nothing is started."""
    async with calling(tmp_path) as call:
        reply = await call(
            "POST", f"{SIMULATED}/runs", body=body, headers={"Content-Type": "application/json"}
        )
        assert reply.error == (400, error_type)
        assert call.emulator.runs() == []


async def test_start_needs_an_actor_that_exists(tmp_path: Path) -> None:
    """An unknown Actor, task or build is a 404."""
    async with calling(tmp_path) as call:
        assert (await call("POST", "acts/me~nothing/runs", json={})).error == (
            404,
            "actor-not-found",
        )
        assert (await call("POST", "actor-tasks/me~nothing/runs", json={})).error == (
            404,
            "record-not-found",
        )
        assert (await call("POST", f"{SIMULATED}/runs", json={}, build="beta")).error == (
            404,
            "unknown-build-tag",
        )


async def test_start_is_refused_when_the_account_has_too_many_runs(tmp_path: Path) -> None:
    """One run above the limit is refused until another one ends."""
    async with calling(tmp_path, max_runs=1) as call:
        first = await call.start({"duration_secs": 60})
        reply = await call("POST", f"{SIMULATED}/runs", json={})
        assert reply.error == (402, "concurrent-runs-limit-exceeded")
        await call("POST", f"actor-runs/{first['id']}/abort")
        await call.wait(first)
        await call.start({})


async def test_start_is_refused_when_the_account_has_too_little_memory(tmp_path: Path) -> None:
    """A start that needs more memory than the account has free is refused."""
    async with calling(tmp_path, max_memory_mbytes=2048) as call:
        await call.start({"duration_secs": 60}, memory=2048)
        reply = await call("POST", f"{SIMULATED}/runs", json={}, memory=128)
        assert reply.error == (402, "actor-memory-limit-exceeded")
        current = (await call("GET", "users/me/limits")).data["current"]
        assert (current["actorMemoryGbytes"], current["activeActorJobCount"]) == (2, 1)


async def test_start_keeps_the_input_as_a_record(tmp_path: Path) -> None:
    """The input that was sent is the record INPUT."""
    async with calling(tmp_path) as call:
        run = await call.start({"items": 2, "mine": "ä"})
        record = await call("GET", f"actor-runs/{run['id']}/key-value-store/records/INPUT")
        assert record.json() == {"items": 2, "mine": "ä"}
        assert record.headers["Content-Type"] == "application/json"


async def test_start_keeps_its_webhooks(tmp_path: Path) -> None:
    """Ad-hoc webhooks are called when the run ends."""
    hook = {"eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": "http://example.com/hook"}
    encoded = base64.b64encode(orjson.dumps([hook])).decode()
    async with calling(tmp_path) as call:
        await call.finish({}, webhooks=encoded)
        dispatches = (await call("GET", "webhook-dispatches")).data["items"]
        assert [one["eventType"] for one in dispatches] == ["ACTOR.RUN.SUCCEEDED"]


async def test_sync_start_answers_the_output_record(tmp_path: Path) -> None:
    """A synchronous start answers the stored output, by POST and, without input, by GET."""
    async with calling(tmp_path) as call:
        reply = await call("POST", f"{SIMULATED}/run-sync", json={"output": {"answer": 42}})
        assert (reply.status, reply.json()) == (201, {"answer": 42})
        empty = await call("GET", f"{SIMULATED}/run-sync")
        assert (empty.status, empty.body) == (201, b"")


async def test_sync_start_answers_the_items(tmp_path: Path) -> None:
    """The other synchronous start answers the items, with their pagination."""
    async with calling(tmp_path) as call:
        reply = await call(
            "POST",
            f"{SIMULATED}/run-sync-get-dataset-items",
            json={"items": 3},
            format="jsonl",
            offset=1,
        )
        assert reply.status == 201
        assert reply.lines == [{"index": 1}, {"index": 2}]
        assert reply.headers["X-Apify-Pagination-Total"] == "3"


async def test_sync_start_names_the_run_that_failed(tmp_path: Path) -> None:
    """A run that does not succeed is a 400; the message names the run."""
    async with calling(tmp_path) as call:
        reply = await call("POST", f"{SIMULATED}/run-sync", json={"outcome": "FAILED"})
        run_id = call.emulator.runs()[0]["id"]
        assert reply.error == (400, "run-failed")
        assert reply.json()["error"]["message"] == (
            f"Actor run did not succeed (run ID: {run_id}, status: FAILED)"
        )


async def test_sync_start_stops_waiting_for_a_long_run_that_continues(tmp_path: Path) -> None:
    """After the longest wait the answer is 408; the run continues."""
    async with calling(tmp_path, sync_wait_secs=0.05) as call:
        reply = await call("POST", f"{SIMULATED}/run-sync", json={"duration_secs": 60})
        assert reply.error == (408, "run-timeout-exceeded")
        assert call.emulator.runs()[0]["status"] == "RUNNING"


async def test_validate_input_starts_nothing(tmp_path: Path) -> None:
    """An input can be checked without a start."""
    async with calling(tmp_path) as call:
        good = await call("POST", f"{SIMULATED}/validate-input", json={"items": 1})
        bad = await call("POST", f"{SIMULATED}/validate-input", json={"items": "one"})
        assert good.json() == {"valid": True}
        assert bad.error == (400, "invalid-input")
        assert call.emulator.runs() == []
