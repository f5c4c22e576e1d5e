"""Webhooks and their deliveries."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from aiohttp import web

from tests.emulator.caller import SIMULATED, Caller, calling
from tests.support.command import LONGEST_SECS


class _Receiver:
    """The requests that a webhook's target has received."""

    def __init__(self) -> None:
        self.url = ""
        self.report: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.arrived = anyio.Event()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Takes one delivery."""
        self.headers.append(dict(request.headers))
        self.report.append(orjson.loads(await request.read()))
        self.arrived.set()
        return web.Response()


@asynccontextmanager
async def _receiving() -> AsyncIterator[_Receiver]:
    receiver = _Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def _dispatch(call: Caller) -> dict[str, Any]:
    with anyio.fail_after(LONGEST_SECS):
        while True:
            (dispatch,) = (await call("GET", "webhook-dispatches")).data["items"]
            if dispatch["status"] != "ACTIVE":
                found: dict[str, Any] = dispatch
                return found


async def test_webhook_is_delivered_to_this_machine(tmp_path: Path) -> None:
    """A webhook of a start is called with the run when it ends."""
    async with _receiving() as receiver, calling(tmp_path) as call:
        hook = {"eventTypes": ["ACTOR.RUN.FAILED"], "requestUrl": receiver.url}
        encoded = base64.b64encode(orjson.dumps([hook])).decode()
        run = await call.finish({"outcome": "FAILED"}, webhooks=encoded)
        with anyio.fail_after(LONGEST_SECS):
            await receiver.arrived.wait()
        (report,) = receiver.report
        assert report["eventType"] == "ACTOR.RUN.FAILED"
        assert report["eventData"]["actorRunId"] == report["resource"]["id"] == run["id"]
        assert (await _dispatch(call))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("interpolate", [False, True])
async def test_webhook_has_the_payload_and_headers_of_its_templates(
    tmp_path: Path, interpolate: bool
) -> None:
    """Variables get the values of the run; inside of texts only if the webhook says so."""
    async with _receiving() as receiver, calling(tmp_path) as call:
        hook = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"],
            "requestUrl": receiver.url,
            "payloadTemplate": '{"run": {{resource.id}}, "no": {{resource.x.y}}, '
            '"e": {{eventType}}, '
            '"all": ["{{eventData}}", "of {{userId}}: \\"{{resource.status}}\\""]}',
            "headersTemplate": '{"Authorization": "Bearer x", "X-Run": "{{resource.id}}", '
            '"content-type": "text/plain"}',
            "shouldInterpolateStrings": interpolate,
        }
        encoded = base64.b64encode(orjson.dumps([hook])).decode()
        run = await call.finish({}, webhooks=encoded)
        with anyio.fail_after(LONGEST_SECS):
            await receiver.arrived.wait()
    data = {"actorId": run["actId"], "actorRunId": run["id"]}
    texts = [data, f'of {run["userId"]}: "SUCCEEDED"'] if interpolate else [
        "{{eventData}}", 'of {{userId}}: "{{resource.status}}"',
    ]  # fmt: skip
    expected = {"run": run["id"], "no": None, "e": "ACTOR.RUN.SUCCEEDED", "all": texts}
    assert receiver.report == [expected]
    (headers,) = receiver.headers
    assert headers["Authorization"] == "Bearer x"
    assert headers["X-Run"] == (run["id"] if interpolate else "{{resource.id}}")
    assert headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("field", "template", "said"),
    [
        ("payloadTemplate", '{"a": {{runId}}}', "unknown variable {{runId}}"),
        ("payloadTemplate", '{"a": {{userId}}', "is not valid JSON"),
        ("headersTemplate", '["a"]', "must be a JSON object"),
    ],
)
async def test_template_with_a_mistake_is_refused(
    tmp_path: Path, field: str, template: str, said: str
) -> None:
    """A webhook that could never be delivered is not made."""
    async with calling(tmp_path) as call:
        body = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": "http://127.0.0.1:9/",
            "condition": {"actorId": "x"}, field: template,
        }  # fmt: skip
        reply = await call("POST", "webhooks", json=body)
        assert reply.error == (400, "invalid-input")
        assert said in reply.json()["error"]["message"]


async def test_condition_may_name_the_actor(tmp_path: Path) -> None:
    """A webhook for `username/name` is called as one for the id is."""
    async with _receiving() as receiver, calling(tmp_path) as call:
        body = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"], "requestUrl": receiver.url,
            "condition": {"actorId": "orchestrator/simulated"},
        }  # fmt: skip
        made = (await call("POST", "webhooks", json=body)).data
        run = await call.finish({})
        with anyio.fail_after(LONGEST_SECS):
            await receiver.arrived.wait()
        assert made["condition"] == {"actorId": run["actId"]}


async def test_webhook_to_another_machine_is_not_delivered(tmp_path: Path) -> None:
    """The emulator calls no other machine, and the delivery says so."""
    async with calling(tmp_path) as call:
        actor = (await call("GET", SIMULATED)).data["id"]
        body = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"],
            "requestUrl": "https://example.com/",
            "condition": {"actorId": actor},
        }
        made = await call("POST", "webhooks", json=body)
        assert made.status == 201
        await call.finish()
        dispatch = await _dispatch(call)
        assert dispatch["status"] == "FAILED"
        assert "loopback" in dispatch["calls"][0]["errorMessage"]


async def test_webhooks_can_be_managed(tmp_path: Path) -> None:
    """Webhooks are created once per idempotency key, read, changed, listed and deleted."""
    async with calling(tmp_path) as call:
        actor = (await call("GET", SIMULATED)).data["id"]
        body = {
            "eventTypes": ["ACTOR.RUN.SUCCEEDED"],
            "requestUrl": "https://example.com/",
            "condition": {"actorId": actor},
            "idempotencyKey": "once",
        }
        first = (await call("POST", "webhooks", json=body)).data
        assert (await call("POST", "webhooks", json=body)).data["id"] == first["id"]
        place = f"webhooks/{first['id']}"
        changed = await call("PUT", place, json={"requestUrl": "https://example.com/2"})
        assert changed.data["requestUrl"] == "https://example.com/2"
        for path in ("webhooks", f"{SIMULATED}/webhooks"):
            assert [one["id"] for one in (await call("GET", path)).data["items"]] == [first["id"]]
        assert (await call("DELETE", place)).status == 204
        assert (await call("GET", place)).error == (404, "record-not-found")


async def test_changed_webhook_keeps_its_key_and_its_place(tmp_path: Path) -> None:
    """Creating it again finds it after a change, and the list has the order of creation."""
    async with calling(tmp_path) as call:
        body = {"eventTypes": ["TEST"], "requestUrl": "http://127.0.0.1:9", "condition": {}}
        first = (await call("POST", "webhooks", json={**body, "idempotencyKey": "k"})).data["id"]
        second = (await call("POST", "webhooks", json=body)).data["id"]
        await call("PUT", f"webhooks/{first}", json={"description": "changed"})
        again = (await call("POST", "webhooks", json={**body, "idempotencyKey": "k"})).data
        assert (again["id"], again["description"]) == (first, "changed")
        listed = (await call("GET", "webhooks")).data["items"]
        assert [one["id"] for one in listed] == [first, second]
