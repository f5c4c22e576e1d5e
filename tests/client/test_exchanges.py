from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from orchestrator.apify import ApifyClient
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import (
    ConnectionLost,
    InputRejected,
    NotAuthorized,
    RequestTimeout,
    ServerFault,
    StartUnconfirmed,
)
from orchestrator.model.ids import Mark, RunId, StoreId
from tests.client.both_transports import ACTOR, RUN, TASK, Make, client_of, hold, reset
from tests.client.raw_server import ConnectionReset, ReceivedRequest, answering, http, raw_server

pytestmark = pytest.mark.parametrize(
    "transport", [DirectTransport, SessionTransport], ids=["direct", "session"]
)


async def test_connection_is_kept_for_the_next_request(transport: Make) -> None:
    """Successive requests share one connection."""
    async with raw_server(answering(http(RUN))) as server, client_of(server, transport) as client:
        for _ in range(5):
            await client.runs.get(RunId("run1"))
    assert (server.connections, len(server.received)) == (1, 5)


async def test_request_is_complete(transport: Make) -> None:
    """A start has its host, token, mark, type, length and body, each once."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.start(ACTOR, body=b'{"a":1}', mark=Mark("k.1.1.1"))
    (received,) = server.received
    assert (received.method, received.target, received.body) == (
        "POST",
        "/v2/acts/a~b/runs",
        b'{"a":1}',
    )
    assert received.headers["Host"] == server.url.removeprefix("http://")
    assert received.headers["Authorization"] == "Bearer t0ken"
    assert received.headers["User-Agent"].endswith("(attempt k.1.1.1)")
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Content-Length"] == "7"
    assert len(set(received.headers)) == len(received.headers)


async def test_start_without_input_says_so(transport: Make) -> None:
    """A POST without a body has the length 0 and no content type."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.abort(RunId("run1"))
    assert server.received[0].headers["Content-Length"] == "0"


async def test_large_input_arrives_whole(transport: Make) -> None:
    """Nine megabytes that cannot be compressed arrive unchanged."""
    noise = os.urandom(9_000_000)
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.start(ACTOR, body=noise, content_type="application/octet-stream")
    received = server.received[0]
    packed = received.headers.get("Content-Encoding") == "gzip"
    assert (gzip.decompress(received.body) if packed else received.body) == noise


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.runs.run_sync(TASK, by_get=True),
        lambda client: client.runs.run_sync_items(TASK, by_get=True),
        lambda client: client.runs.run_sync(ACTOR, body=b"{}"),
    ],
    ids=["GET run-sync", "GET run-sync-get-dataset-items", "POST run-sync"],
)
async def test_sync_start_is_never_repeated_on_a_reused_connection(
    transport: Make, call: Callable[[ApifyClient], Any]
) -> None:
    """A start is sent once, although the library repeats a GET whose old connection breaks."""

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "run-sync" in received.target:
            raise ConnectionReset
        writer.write(http(RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, transport, away_secs=60.0) as client,
    ):
        await client.runs.get(RunId("run1"))
        with pytest.raises(StartUnconfirmed):
            async with call(client):
                pass
    starts = [received for received in server.received if "run-sync" in received.target]
    assert [received.number for received in starts] == [1]


async def test_read_on_a_broken_connection_is_counted_as_repeated(transport: Make) -> None:
    """The client itself repeats a GET, and counts it."""
    dropped: list[ReceivedRequest] = []

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if len(server.received) == 2:
            dropped.append(received)
            raise ConnectionReset
        writer.write(http(RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, transport, away_secs=60.0) as client,
    ):
        await client.runs.get(RunId("run1"))
        await client.runs.get(RunId("run1"))
        assert (client.stats.requests, client.stats.retries) == (3, 1)
    assert len(dropped) == 1


async def test_answer_about_another_run_is_not_believed(transport: Make) -> None:
    """A proxy that mixes up answers does not end a run with the status of another one."""
    other = b'{"data": {"id": "run2", "status": "FAILED"}}'

    async def behave(_received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(other if len(server.received) == 1 else RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, transport, away_secs=60.0) as client,
    ):
        run = await client.runs.get(RunId("run1"))
        assert (run.id, run.status, client.stats.retries) == ("run1", "SUCCEEDED", 1)


async def test_start_whose_connection_breaks_is_unconfirmed(transport: Make) -> None:
    """A start that the platform received without an answer is not sent again."""
    async with raw_server(reset) as server, client_of(server, transport) as client:
        with pytest.raises(StartUnconfirmed, match="broke"):
            await client.runs.start(ACTOR, body=b"{}")
    assert len(server.received) == 1


async def test_unreachable_platform_is_an_error(transport: Make) -> None:
    """If no process listens, the error says so, and that nothing was sent."""
    async with raw_server(hold) as server:
        pass
    async with client_of(server, transport, start_deadline_secs=1.0) as client:
        with pytest.raises(ConnectionLost, match="no connection to 127") as caught:
            await client.runs.start(ACTOR, body=b"{}")
    assert caught.value.had_no_effect


async def test_connection_that_breaks_between_headers_is_told_in_words(transport: Make) -> None:
    """The message has none of the headers that had arrived."""

    async def end(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Private: 7f3a\r\nContent-")
        await writer.drain()
        raise ConnectionReset

    async with (
        raw_server(end) as server,
        client_of(server, transport, away_secs=0.0) as client,
    ):
        with pytest.raises(ConnectionLost) as caught:
            await client.runs.get(RunId("run1"))
    assert "7f3a" not in str(caught.value)
    assert "RawResponseMessage" not in str(caught.value)


async def test_silent_platform_is_an_error(transport: Make) -> None:
    """A request without an answer ends at its deadline for the first byte."""
    async with (
        raw_server(hold) as server,
        client_of(server, transport, first_byte_timeout_secs=0.2) as client,
    ):
        with pytest.raises(RequestTimeout, match="did not answer in time"):
            await client.runs.get(RunId("run1"))


async def test_silent_platform_leaves_a_start_unconfirmed(transport: Make) -> None:
    """A start without an answer ends at its own deadline."""
    async with (
        raw_server(hold) as server,
        client_of(server, transport, start_deadline_secs=1.0) as client,
    ):
        with pytest.raises(StartUnconfirmed, match="did not answer in time"):
            await client.runs.start(ACTOR, body=b"{}")


async def test_long_poll_may_take_its_requested_time(transport: Make) -> None:
    """The wait that the platform was asked for is added to the deadline for the first byte."""

    async def slow(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(http(RUN))

    async with (
        raw_server(slow) as server,
        client_of(server, transport, first_byte_timeout_secs=0.2) as client,
    ):
        run = await client.runs.get(RunId("run1"), wait_secs=10)
    assert run.status == "SUCCEEDED"


async def test_cancelled_request_does_not_affect_the_next(transport: Make) -> None:
    """A call that was cancelled during its wait leaves a client that works."""

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "slow" in received.target:
            await asyncio.sleep(60)
        writer.write(http(RUN))

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with anyio.move_on_after(0.1):
            await client.runs.get(RunId("slow"))
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_early_refusal_of_a_large_input_is_read(transport: Make) -> None:
    """A refusal that arrives before the start is sent completely is read as a refusal."""
    refusal = b'{"error": {"type": "request-too-large", "message": "Too large."}}'

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(refusal, status=413))
        await writer.drain()
        await asyncio.sleep(60)

    async with (
        raw_server(behave, reads_bodies=False) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises(InputRejected, match="Too large"):
            await client.runs.start(ACTOR, body=b"\x00\xff" * 100_000, content_type="image/x")


async def test_record_on_another_host_is_downloaded_without_the_token(transport: Make) -> None:
    """The platform may redirect to a record elsewhere; the token is not sent there."""
    async with raw_server(answering(http(b"record", Content_Type="image/png"))) as other:
        redirect = http(status=302, Location=f"{other.url}/bucket/record?signature=a%2Fb")
        async with (
            raw_server(answering(redirect)) as server,
            client_of(server, transport) as client,
            client.storages.stream_record(StoreId("s"), "k") as download,
        ):
            assert download.content_type == "image/png"
            assert await download.read() == b"record"
    assert other.received[0].target == "/bucket/record?signature=a%2Fb"
    assert "Authorization" not in other.received[0].headers


async def test_refusal_of_a_request_without_the_token_names_the_redirect(transport: Make) -> None:
    """An address that redirects all requests gets that for an answer, not a word on the token."""
    refusal = b'{"error": {"type": "user-or-token-not-found", "message": "Token is not valid"}}'
    async with raw_server(answering(http(refusal, status=401))) as other:
        redirect = http(status=301, Location=f"{other.url}/v2/users/me")
        async with (
            raw_server(answering(redirect)) as server,
            client_of(server, transport) as client,
        ):
            with pytest.raises(NotAuthorized) as refused:
                await client.account.get()
    assert f"redirects to {other.url}" in str(refused.value)
    assert "APIFY_API_BASE_URL" in str(refused.value)
    assert "not valid" not in str(refused.value)


async def test_refusal_with_a_broken_body_does_not_count(transport: Make) -> None:
    """A 404 with a broken body may not be the API's, so it is not a refusal."""

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b'{"error"', status=404, length=500))
        await writer.drain()
        writer.close()

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises(ServerFault, match="breaks off") as caught:
            await client.runs.get(RunId("run1"))
    assert caught.value.status == 404


async def test_line_break_in_a_header_is_refused(transport: Make) -> None:
    """A content type cannot add another header to a request."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises((InputRejected, ValueError)):
            await client.runs.start(ACTOR, body=b"{}", content_type="a/b\r\nX-Evil: 1")
    assert not server.received
