"""Calls of a client on virtual time, and the errors that they meet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from orchestrator.apify import ApifyClient
from orchestrator.errors import (
    ConnectionLost,
    RequestTimeout,
    TruncatedBody,
)
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import Target, TargetKind
from tests.support.scripted_transport import (
    Reply,
    ScriptedTransport,
    Step,
    client_of,
    refused,
    reply,
)
from tests.support.virtual_time import run_virtual

T = TypeVar("T")
ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")
TASK = Target(kind=TargetKind.TASK, id="a/b")


def unsent(message: str = "refused") -> ConnectionLost:
    error = ConnectionLost(message)
    error.had_no_effect = True
    return error


def using(
    transport: ScriptedTransport, call: Callable[[ApifyClient], Awaitable[T]], **options: Any
) -> T:
    async def use() -> T:
        async with client_of(transport, **options) as client:
            return await call(client)

    return run_virtual(use)


async def start(client: ApifyClient) -> str:
    return (await client.runs.start(ACTOR, body=b"{}")).id


async def sync(client: ApifyClient) -> bytes:
    async with client.runs.run_sync(TASK, by_get=True) as download:
        return await download.read()


async def get_run(client: ApifyClient) -> str:
    return (await client.runs.get(RunId("run1"), wait_secs=60)).status


async def insist_on_run(client: ApifyClient) -> str:
    return (await client.runs.get(RunId("run1"), wait_secs=60, insist=True)).status


TRANSIENT: dict[str, Step] = {
    "503": refused(503, "x"),
    "502 with a page": reply(502, b"<html>"),
    "429": refused(429, "rate-limit-exceeded"),
    "408": refused(408, "x"),
    "no connection": unsent(),
    "reset": ConnectionLost("reset"),
    "silence": RequestTimeout("silent"),
    "a page instead of JSON": reply(200, b"<html>"),
    "half an answer": Reply(chunks_=(b'{"data": {"id"',), then=TruncatedBody("cut")),
}
UNCONFIRMED: dict[str, Step] = {
    "500": refused(500, "internal-server-error"),
    "502 with a page": reply(502, b"<html>"),
    "408": refused(408, "x"),
    "reset": ConnectionLost("reset"),
    "silence": RequestTimeout("silent"),
    "a page instead of a run": reply(201, b"<html>"),
    "half a run": Reply(status=201, chunks_=(b'{"data"',), then=TruncatedBody("cut")),
    "a run without id": reply(201, {"data": {}}),
    "400 with a page": reply(400, b"<html>"),
    "404 with a page": reply(404, b"<html>"),
    "413 with a page": reply(413, b"<html>"),
    "402 with a page": reply(402, b"<html>"),
    "429 with a page": reply(429, b"<html>"),
    "empty 425": reply(425, b""),
    "empty 302": reply(302, b""),
    "empty 304": reply(304, b""),
    "redirect": reply(307, b"", Location="https://other.example/"),
    "409 with an empty object": reply(409, {}),
    "418 with text": reply(418, b"teapot"),
    "500 for a full account": refused(500, "concurrent-runs-limit-exceeded"),
    "error object without type": reply(400, {"error": {"message": "No."}}),
    "failed run": refused(400, "run-failed"),
    "broken socket": refused(400, "socket-closed"),
}
