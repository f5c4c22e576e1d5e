"""Connections that a server closes while they are idle; through a proxy it decides about them."""

from __future__ import annotations

import asyncio

from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.model.ids import RunId
from tests.client.both_transports import ACTOR, RUN, client_of
from tests.client.raw_server import ConnectionReset, ReceivedRequest, http, raw_server


async def test_start_does_not_reuse_a_connection_where_others_broke() -> None:
    """A server that closes idle connections early is noticed by a read, which is repeated."""
    answered: set[int] = set()

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if received.number in answered:
            raise ConnectionReset
        answered.add(received.number)
        writer.write(http(RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, DirectTransport, away_secs=60.0) as client,
    ):
        await client.runs.get(RunId("run1"))
        await client.runs.get(RunId("run1"))
        assert (await client.runs.start(ACTOR, body=b"{}")).id == "run1"
