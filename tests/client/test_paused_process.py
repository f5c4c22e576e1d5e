from __future__ import annotations

import anyio
import pytest

from orchestrator.apify.http.direct_transport import DirectTransport, Origin
from orchestrator.errors import ConnectionLost
from tests.client.both_transports import ACTOR, RUN, client_of
from tests.client.raw_server import answering, http, raw_server


async def test_start_is_not_written_after_a_pause_while_it_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that is stopped just then may have lost its lease when it wakes."""
    take = Origin.take

    async def pause(origin: Origin, secs: float) -> object:
        connection = await take(origin, secs)
        await anyio.sleep(1.1)
        return connection

    monkeypatch.setattr(Origin, "take", pause)
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, DirectTransport, start_deadline_secs=1.0) as client,
    ):
        with pytest.raises(ConnectionLost, match="not sent"):
            await client.runs.start(ACTOR)
    assert server.received == []
