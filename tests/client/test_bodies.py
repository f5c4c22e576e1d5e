"""Bodies of answers: whole, broken, endless, or not read to their end."""

from __future__ import annotations

import asyncio
import gzip

import anyio
import pytest

from orchestrator.apify.http.direct_transport import DirectTransport
from orchestrator.apify.http.session_transport import SessionTransport
from orchestrator.errors import (
    ConnectionLost,
    RequestTimeout,
    ServerFault,
    TransientError,
    TruncatedBody,
)
from orchestrator.model.ids import DatasetId, RunId
from tests.client.both_transports import LINES, RUN, Make, client_of, read_items
from tests.client.raw_server import ConnectionReset, ReceivedRequest, answering, http, raw_server
from tests.support.command import LONGEST_SECS

pytestmark = pytest.mark.parametrize(
    "transport", [DirectTransport, SessionTransport], ids=["direct", "session"]
)


@pytest.mark.parametrize("small", [True, False], ids=["small answer", "download"])
async def test_silence_in_a_body_is_an_error(transport: Make, small: bool) -> None:
    """A body that stops arriving ends at the deadline for silence."""

    async def stall(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(RUN[:10], length=len(RUN)))
        await writer.drain()
        await asyncio.sleep(60)

    async with (
        raw_server(stall) as server,
        client_of(
            server, transport, silence_timeout_secs=0.2, first_byte_timeout_secs=1.0
        ) as client,
    ):
        with anyio.fail_after(LONGEST_SECS), pytest.raises(RequestTimeout, match="silent"):
            await (client.runs.get(RunId("run1")) if small else read_items(client))


async def test_download_may_take_longer_than_any_deadline(transport: Make) -> None:
    """A slow body that continues to arrive is read to its end."""

    async def trickle(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(length=10))
        for _ in range(10):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.12)

    async with (
        raw_server(trickle) as server,
        client_of(
            server,
            transport,
            whole_timeout_secs=1.0,
            first_byte_timeout_secs=1.0,
            silence_timeout_secs=1.0,
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
    """A body with any framing and encoding is read to its end; its connection is used again."""
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
async def test_broken_body_is_an_error(transport: Make, answer: bytes) -> None:
    """An incomplete body is an error, even if the connection ends properly."""

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises(TransientError) as caught:
            await read_items(client)
    assert isinstance(caught.value, TruncatedBody | ServerFault | ConnectionLost)
    assert caught.value.path == "/v2/datasets/d/items"


async def test_reset_in_a_body_is_an_error(transport: Make) -> None:
    """After a reset in the middle of a body, the download can be continued."""

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(http(LINES[:100], length=len(LINES)))
        await writer.drain()
        await asyncio.sleep(0.05)
        raise ConnectionReset

    async with raw_server(behave) as server, client_of(server, transport) as client:
        with pytest.raises((TruncatedBody, ConnectionLost)):
            await read_items(client)


async def test_answer_that_is_not_http_is_an_error(transport: Make) -> None:
    """The error says that another program listens on the port."""
    async with (
        raw_server(answering(b"SSH-2.0-x\r\n\r\n")) as server,
        client_of(server, transport) as client,
    ):
        with pytest.raises(TransientError):
            await client.runs.get(RunId("run1"))


async def test_answer_without_end_is_cut_off(transport: Make) -> None:
    """An answer that should be small is not read into memory beyond its limit."""
    endless = http(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n", Transfer_Encoding="chunked")
    async with (
        raw_server(answering(endless)) as server,
        client_of(server, transport, max_answer_bytes=1000) as client,
    ):
        with pytest.raises(ServerFault, match="longer than 1000 bytes"):
            await client.runs.get(RunId("run1"))


async def test_unfinished_download_does_not_affect_the_next(transport: Make) -> None:
    """A body that was not read to its end is never part of the next answer."""
    async with (
        raw_server(answering(http(LINES * 100), http(RUN))) as server,
        client_of(server, transport) as client,
    ):
        async with client.storages.stream_items(DatasetId("d")) as download:
            await anext(aiter(download.chunks()))
        assert (await client.runs.get(RunId("run1"))).id == "run1"


async def test_items_that_end_with_their_connection_are_whole(transport: Make) -> None:
    """Without a length, as in HTTP/1.0, only the items tell a whole body from a broken one."""
    items = b'{"a":"\\\\\\"}"}\n{"b":[{}]}'
    kept = 0

    async def close(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
        # In two pieces, which may part an escape.
        for piece in (head + items[: kept // 2], items[kept // 2 : kept]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)
        writer.write_eof()

    async with raw_server(close) as server, client_of(server, transport) as client:
        for kept in range(len(items) + 1):
            if items[:kept].rstrip(b"\n") in {b"", items.splitlines()[0], items}:
                assert await read_items(client) == items[:kept]
            else:
                with pytest.raises(TruncatedBody, match="ended in the middle"):
                    await read_items(client)


async def test_pagination_is_read(transport: Make) -> None:
    """A download of items has the total and the place of its items."""
    reported = http(
        LINES,
        X_Apify_Pagination_Total="7000",
        X_Apify_Pagination_Count="5000",
        X_Apify_Pagination_Offset="2000",
        X_Apify_Pagination_Limit="999999999999",
        X_Apify_Pagination_Desc="false",
    )
    async with (
        raw_server(answering(reported)) as server,
        client_of(server, transport) as client,
        client.storages.stream_items(DatasetId("d")) as download,
    ):
        numbers = (download.total, download.count, download.offset, download.limit)
        assert numbers == (7000, 5000, 2000, 999999999999)
        assert download.desc is False
