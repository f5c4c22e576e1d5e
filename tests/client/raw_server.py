"""A server that answers with exactly the bytes of a test, and may have faults."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from multidict import CIMultiDict


@dataclass(frozen=True)
class ReceivedRequest:
    """
    A request as it was received.

    Attributes:
        number: of its connection, counted from 1.
    """

    number: int
    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes


class ConnectionReset(Exception):
    """An error of a behaviour that resets the connection."""


Behaviour = Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """
    A server and the requests that it has received.

    Attributes:
        reads_bodies: whether it reads a request to its end before it answers.
        url: without a slash at its end.
        heard: all requests so far.
    """

    behave: Behaviour
    reads_bodies: bool = True
    url: str = ""
    received: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while True:
                received = await self._read(reader, number)
                self.received.append(received)
                await self.behave(received, writer)
                await writer.drain()
        except ConnectionReset:
            writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def _read(self, reader: asyncio.StreamReader, number: int) -> ReceivedRequest:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers: CIMultiDict[str] = CIMultiDict()
        for line in lines:
            name, _, value = line.partition(": ")
            headers.add(name, value)
        length = int(headers.get("Content-Length", "0")) if self.reads_bodies else 0
        body = await reader.readexactly(length)
        return ReceivedRequest(
            number=number, method=method, target=target, headers=headers, body=body
        )


@asynccontextmanager
async def raw_server(
    behave: Behaviour, *, reads_bodies: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Starts a server on loopback, and closes it at the end of the block."""
    raw = RawServer(behave, reads_bodies)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, limit=2**24, ssl=tls)
    scheme = "https" if tls else "http"
    raw.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in raw.tasks:
            task.cancel()
        if raw.tasks:
            await asyncio.wait(raw.tasks)


def http(
    body: bytes = b"", *, status: int = 200, length: int | None = None, **headers: str
) -> bytes:
    """An answer; `length` is the length in its header, headers are written with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(*answers: bytes) -> Behaviour:
    """Answers requests in order; the last answer is for all further requests."""
    left = list(answers)

    async def behave(received: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return behave
