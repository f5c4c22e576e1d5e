"""A client on a raw server, by each of its two transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions, Transport
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import Target, TargetKind
from tests.client.raw_server import ConnectionReset, RawServer, ReceivedRequest

ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")
TASK = Target(kind=TargetKind.TASK, id="a/b")
RUN = b'{"data": {"id": "run1", "status": "SUCCEEDED"}}'
LINES = b'{"a": 1}\n' * 5000
Make = Callable[[str], Transport]


def client_of(server: RawServer, transport: Make, **options: Any) -> ApifyClient:
    options = {"away_secs": 0.0} | options
    chosen = ClientOptions(base_url=server.url, token=SecretStr("t0ken"), **options)
    return ApifyClient(chosen, transport=transport(server.url))


async def read_items(client: ApifyClient) -> bytes:
    async with client.storages.stream_items(DatasetId("d")) as download:
        return b"".join([chunk async for chunk in download.chunks()])


async def hold(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def reset(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    raise ConnectionReset
