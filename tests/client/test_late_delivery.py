"""What the operating system does with a request after it was given up."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import StartUnconfirmed
from tests.client.both_transports import ACTOR, Make

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
