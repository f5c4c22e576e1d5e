"""What the operating system does for a request that waits, and with one that was given up."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import StartUnconfirmed
from orchestrator.model.ids import RunId
from tests.client.both_transports import ACTOR, Make, client_of, hold
from tests.client.raw_server import ReceivedRequest, raw_server

INPUT_BYTES = 40_000
"""More than the server's buffer takes; few enough for that of the client's system."""


@pytest.mark.parametrize(
    "transport", [DirectTransport, SessionTransport], ids=["direct", "session"]
)
async def test_start_that_was_given_up_is_not_delivered_later(transport: Make) -> None:
    """A network that is silent past the deadline of a start does not deliver it afterwards."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        # A full buffer at the other end is as good as lost packets: both leave data unconfirmed.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        root = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = ClientOptions(
            base_url=root, token=SecretStr("t0ken"), start_deadline_secs=1.0, away_secs=0.0
        )
        async with ApifyClient(options, transport=transport(root)) as client:
            with pytest.raises(StartUnconfirmed):
                await client.runs.start(
                    ACTOR, body=os.urandom(INPUT_BYTES), content_type="application/octet-stream"
                )
            await asyncio.sleep(0.5)
            peer, _ = await loop.sock_accept(listener)
            with peer:
                assert len(await _read_to_end(peer)) < INPUT_BYTES


async def _read_to_end(peer: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while piece := await asyncio.get_running_loop().sock_recv(peer, 65536):
            received += piece
    return received


@pytest.mark.skipif(sys.platform != "linux", reason="it reads the system's table of connections")
@pytest.mark.parametrize(
    "transport", [DirectTransport, SessionTransport], ids=["direct", "session"]
)
async def test_connection_that_waits_for_an_answer_is_probed(transport: Make) -> None:
    """A firewall that forgets silent connections after 30 s does not lose the answer to a poll."""
    arrived = asyncio.Event()

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hold(received, writer)

    async with (
        raw_server(behave) as server,
        client_of(server, transport) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partial(client.runs.get, RunId("run1"), wait_secs=60))
        await arrived.wait()
        assert 0 < _secs_to_probe(int(server.url.rpartition(":")[2])) <= 15
        tasks.cancel_scope.cancel()


def _secs_to_probe(port: int) -> float:
    """In how many seconds the connection to a port is probed; -1 if never."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, _, timer, *_ = line.split()
        kind, _, jiffies = timer.partition(":")
        # 02 is the timer of the probes.
        if int(remote.rpartition(":")[2], 16) == port and kind == "02":
            return int(jiffies, 16) / os.sysconf("SC_CLK_TCK")
    return -1
