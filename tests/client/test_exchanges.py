from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from orchestrator.apify import ApifyClient, ClientOptions, Transport
from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import (
    ConnectionLost,
    InputRejected,
    RequestTimeout,
    ServerFault,
    StartUnconfirmed,
    TransientError,
    TruncatedBody,
)
from orchestrator.model.ids import DatasetId, Mark, RunId, StoreId
from orchestrator.model.jobs import Target, TargetKind
from tests.client.raw_server import Hangup, Heard, RawServer, answering, http, raw_server

ACTOR = Target(kind=TargetKind.ACTOR, id="a/b")
TASK = Target(kind=TargetKind.TASK, id="a/b")
RUN = b'{"data": {"id": "run1", "status": "SUCCEEDED"}}'
LINES = b'{"a": 1}\n' * 5000

pytestmark = pytest.mark.parametrize(
    "transport", [DirectTransport, SessionTransport], ids=["direct", "session"]
)
Make = Callable[[str], Transport]


def client_of(server: RawServer, transport: Make, **options: Any) -> ApifyClient:
    options = {"away_secs": 0.0} | options
    chosen = ClientOptions(base_url=server.url, token=SecretStr("t0ken"), **options)
    return ApifyClient(chosen, transport=transport(server.url))


async def read_items(client: ApifyClient) -> bytes:
    async with client.storages.stream_items(DatasetId("d")) as download:
        return b"".join([chunk async for chunk in download.chunks()])


async def hold(heard: Heard, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(heard: Heard, writer: asyncio.StreamWriter) -> None:
    raise Hangup


async def test_connection_is_kept_for_the_next_request(transport: Make) -> None:
    """Requests that follow each other share one connection."""
    async with raw_server(answering(http(RUN))) as server, client_of(server, transport) as client:
        for _ in range(5):
            await client.runs.get(RunId("run1"))
    assert (server.connections, len(server.heard)) == (1, 5)


async def test_request_is_complete(transport: Make) -> None:
    """A start arrives with its host, token, mark, type, length and body, and nothing said twice."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.start(ACTOR, body=b'{"a":1}', mark=Mark("k.1.1.1"))
    (heard,) = server.heard
    assert (heard.method, heard.target, heard.body) == ("POST", "/v2/acts/a~b/runs", b'{"a":1}')
    assert heard.headers["Host"] == server.url.removeprefix("http://")
    assert heard.headers["Authorization"] == "Bearer t0ken"
    assert heard.headers["User-Agent"].endswith("(attempt k.1.1.1)")
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["Content-Length"] == "7"
    assert len(set(heard.headers)) == len(heard.headers)


async def test_start_without_input_says_so(transport: Make) -> None:
    """A POST without a body has the length nought and no content type."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.abort(RunId("run1"))
    assert server.heard[0].headers["Content-Length"] == "0"


async def test_large_input_arrives_whole(transport: Make) -> None:
    """Nine megabytes that cannot be compressed arrive as they were."""
    body = bytes(range(256)) * 36_000
    noise = bytes(a ^ b for a, b in zip(body, gzip.compress(body * 3) * 2000, strict=False))
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        await client.runs.start(ACTOR, body=noise, content_type="application/octet-stream")
    heard = server.heard[0]
    packed = heard.headers.get("Content-Encoding") == "gzip"
    assert (gzip.decompress(heard.body) if packed else heard.body) == noise


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.runs.run_sync(TASK),
        lambda client: client.runs.run_sync_items(TASK),
        lambda client: client.runs.run_sync(ACTOR, body=b"{}"),
    ],
    ids=["GET run-sync", "GET run-sync-get-dataset-items", "POST run-sync"],
)
async def test_sync_start_is_never_repeated_on_a_reused_connection(
    transport: Make, call: Callable[[ApifyClient], Any]
) -> None:
    """A start is sent once, although the library repeats a GET whose old connection breaks."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if "run-sync" in heard.target:
            raise Hangup
        writer.write(http(RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, transport, away_secs=60.0) as client,
    ):
        await client.runs.get(RunId("run1"))
        with pytest.raises(StartUnconfirmed):
            async with call(client):
                pass
    starts = [heard for heard in server.heard if "run-sync" in heard.target]
    assert [heard.number for heard in starts] == [1]


async def test_read_on_a_broken_connection_is_counted_as_repeated(transport: Make) -> None:
    """A GET that may be repeated is repeated by the client itself, and counted."""
    dropped: list[Heard] = []

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if len(server.heard) == 2:
            dropped.append(heard)
            raise Hangup
        writer.write(http(RUN))

    async with (
        raw_server(behave) as server,
        client_of(server, transport, away_secs=60.0) as client,
    ):
        await client.runs.get(RunId("run1"))
        await client.runs.get(RunId("run1"))
        assert (client.stats.requests, client.stats.retries) == (3, 1)
    assert len(dropped) == 1


async def test_start_whose_connection_breaks_is_unconfirmed(transport: Make) -> None:
    """A start that is heard and not answered is not sent again."""
    async with raw_server(hang_up) as server, client_of(server, transport) as client:
        with pytest.raises(StartUnconfirmed, match="broke"):
            await client.runs.start(ACTOR, body=b"{}")
    assert len(server.heard) == 1


async def test_platform_that_is_not_there_is_told(transport: Make) -> None:
    """Where nothing listens, the error says so and that nothing was sent."""
    async with raw_server(hold) as server:
        pass
    async with client_of(server, transport, start_deadline_secs=0.1) as client:
        with pytest.raises(ConnectionLost, match="no connection to 127") as caught:
            await client.runs.start(ACTOR, body=b"{}")
    assert caught.value.had_no_effect


async def test_silent_platform_is_noticed(transport: Make) -> None:
    """A request that is never answered ends at its deadline for the first byte."""
    async with (
        raw_server(hold) as server,
        client_of(server, transport, first_byte_timeout_secs=0.2) as client,
    ):
        with pytest.raises(RequestTimeout, match="did not answer in time"):
            await client.runs.get(RunId("run1"))


async def test_silent_platform_leaves_a_start_unconfirmed(transport: Make) -> None:
    """A start that is never answered ends at its own deadline."""
    async with (
        raw_server(hold) as server,
        client_of(server, transport, start_deadline_secs=0.2) as client,
    ):
        with pytest.raises(StartUnconfirmed, match="did not answer in time"):
            await client.runs.start(ACTOR, body=b"{}")


async def test_long_poll_may_take_as_long_as_it_asked_for(transport: Make) -> None:
    """The wait that the platform was asked for is added to the deadline for the first byte."""

    async def slow(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(http(RUN))

    async with (
        raw_server(slow) as server,
        client_of(server, transport, first_byte_timeout_secs=0.2) as client,
    ):
        run = await client.runs.get(RunId("run1"), wait_secs=1)
    assert run.status == "SUCCEEDED"


@pytest.mark.parametrize("small", [True, False], ids=["small answer", "download"])
async def test_silence_in_the_middle_is_noticed(transport: Make, small: bool) -> None:
    """A body that stops arriving ends at the deadline for silence."""

    async def stall(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(RUN[:10], length=len(RUN)))
        await writer.drain()
        await asyncio.sleep(60)

    async with (
        raw_server(stall) as server,
        client_of(
            server, transport, silence_timeout_secs=0.2, first_byte_timeout_secs=0.3
        ) as client,
    ):
        with anyio.fail_after(5), pytest.raises(RequestTimeout, match="silent"):
            await (client.runs.get(RunId("run1")) if small else read_items(client))


async def test_download_may_take_longer_than_any_deadline(transport: Make) -> None:
    """A slow body that goes on arriving is read to its end."""

    async def trickle(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(length=10))
        for _ in range(10):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with (
        raw_server(trickle) as server,
        client_of(
            server,
            transport,
            whole_timeout_secs=0.3,
            first_byte_timeout_secs=0.3,
            silence_timeout_secs=0.3,
        ) as client,
    ):
        assert await read_items(client) == b"x" * 10


WHOLE: dict[str, tuple[bytes, bytes]] = {
    "with its length": (http(LINES), LINES),
    "in chunks": (
        http(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        b"hello world",
    ),
    "gzip": (http(gzip.compress(LINES), Content_Encoding="gzip"), LINES),
    "empty": (http(b""), b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "announced before": (b"HTTP/1.1 100 Continue\r\n\r\n" + http(b"hello"), b"hello"),
}


@pytest.mark.parametrize(("answer", "body"), WHOLE.values(), ids=WHOLE)
async def test_whole_body_is_read(transport: Make, answer: bytes, body: bytes) -> None:
    """A body is read to its end however it is framed and packed, and its connection used again."""
    async with raw_server(answering(answer)) as server, client_of(server, transport) as client:
        assert await read_items(client) == body
        assert await read_items(client) == body
    assert server.connections == 1


PACKED = gzip.compress(LINES)
BROKEN: dict[str, bytes] = {
    "shorter than its length": http(LINES[:100], length=len(LINES)),
    "without the last chunk": http(b"5\r\nhello\r\n", Transfer_Encoding="chunked"),
    "with a bad chunk": http(b"what?\r\nhello\r\n", Transfer_Encoding="chunked"),
    "gzip without its end": http(PACKED[:-12], Content_Encoding="gzip"),
    "no gzip at all": http(LINES, Content_Encoding="gzip"),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_broken_body_is_noticed(transport: Make, answer: bytes) -> None:
    """A body that is not complete is an error, also when the connection ends in good order."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises(TransientError) as caught:
            await read_items(client)
    assert isinstance(caught.value, TruncatedBody | ServerFault | ConnectionLost)
    assert caught.value.path == "/v2/datasets/d/items"


async def test_reset_in_the_middle_is_noticed(transport: Make) -> None:
    """A connection that is reset in the middle of a body is an error that may be gone on from."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(LINES[:100], length=len(LINES)))
        await writer.drain()
        await asyncio.sleep(0.05)
        raise Hangup

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises((TruncatedBody, ConnectionLost)):
            await read_items(client)


async def test_answer_that_is_not_http_is_told(transport: Make) -> None:
    """Something else that listens on the port is named as such."""
    async with (
        raw_server(answering(b"SSH-2.0-x\r\n\r\n")) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises(TransientError):
            await client.runs.get(RunId("run1"))


async def test_answer_without_end_is_cut(transport: Make) -> None:
    """An answer that should be small is not read into memory beyond its limit."""
    endless = http(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n", Transfer_Encoding="chunked")
    async with (
        raw_server(answering(endless)) as server,
        client_of(server, transport, max_answer_bytes=1000) as client,
    ):
        with pytest.raises(ServerFault, match="longer than 1000 bytes"):
            await client.runs.get(RunId("run1"))


async def test_download_that_is_left_early_does_not_disturb_the_next(transport: Make) -> None:
    """A body that was not read to its end never runs into the next answer."""
    async with (
        raw_server(answering(http(LINES * 100), http(RUN))) as server,
        client_of(server, transport) as client,
    ):
        async with client.storages.stream_items(DatasetId("d")) as download:
            await anext(aiter(download.chunks()))
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_cancelled_request_does_not_disturb_the_next(transport: Make) -> None:
    """A call that was cancelled while it waited leaves a client that works."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if "slow" in heard.target:
            await asyncio.sleep(60)
        writer.write(http(RUN))

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with anyio.move_on_after(0.1):
            await client.runs.get(RunId("slow"))
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_early_refusal_of_a_large_input_is_read(transport: Make) -> None:
    """A refusal that arrives before the start is sent completely is read as a refusal."""
    refusal = b'{"error": {"type": "request-too-large", "message": "Too large."}}'

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(refusal, status=413))
        await writer.drain()
        await asyncio.sleep(60)

    async with (
        raw_server(behave, reads_bodies=False) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises(InputRejected, match="Too large"):
            await client.runs.start(ACTOR, body=b"\x00\xff" * 100_000, content_type="image/x")


async def test_record_on_another_host_is_fetched_without_the_token(transport: Make) -> None:
    """The platform may redirect to a record elsewhere; the token stays here."""
    async with raw_server(answering(http(b"record", Content_Type="image/png"))) as other:
        redirect = http(status=302, Location=f"{other.url}/bucket/record?signature=a%2Fb")
        async with (
            raw_server(answering(redirect)) as server,
            client_of(server, transport) as client,
            client.storages.stream_record(StoreId("s"), "k") as download,
        ):
            assert download.content_type == "image/png"
            assert await download.read() == b"record"
    assert other.heard[0].target == "/bucket/record?signature=a%2Fb"
    assert "Authorization" not in other.heard[0].headers


async def test_refusal_without_its_body_is_not_believed(transport: Make) -> None:
    """A 404 whose body breaks off does not show that it is the API's: it is not believed."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b'{"error"', status=404, length=500))
        await writer.drain()
        writer.close()

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises(ServerFault, match="breaks off") as caught:
            await client.runs.get(RunId("run1"))
    assert caught.value.status == 404


async def test_line_break_in_a_header_is_refused(transport: Make) -> None:
    """A content type cannot smuggle another header into a request."""
    async with (
        raw_server(answering(http(RUN, status=201))) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises((InputRejected, ValueError)):
            await client.runs.start(ACTOR, body=b"{}", content_type="a/b\r\nX-Evil: 1")
    assert not server.heard


async def test_pagination_is_told(transport: Make) -> None:
    """A download of items tells how many there are and which of them it holds."""
    told = http(
        LINES,
        X_Apify_Pagination_Total="7000",
        X_Apify_Pagination_Count="5000",
        X_Apify_Pagination_Offset="2000",
        X_Apify_Pagination_Limit="999999999999",
        X_Apify_Pagination_Desc="false",
    )
    async with (
        raw_server(answering(told)) as server,
        client_of(server, transport) as client,
        client.storages.stream_items(DatasetId("d")) as download,
    ):
        numbers = (download.total, download.count, download.offset, download.limit)
        assert numbers == (7000, 5000, 2000, 999999999999)
        assert download.desc is False
