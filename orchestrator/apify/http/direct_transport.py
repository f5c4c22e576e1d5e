"""
HTTP without a proxy: requests written straight onto aiohttp's connections.

A batch is mostly small requests, and most of what aiohttp's session does for each of them is
preparation that never changes here. So its connector opens connections (names, addresses, TLS) and
its parser reads answers, while requests are written, and connections kept and reused, in this
module. That takes about a third of the session's processor time; `docs/adr` has the measurements.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Self, cast

from aiohttp import (
    ClientRequest,
    ClientTimeout,
    ConnectionTimeoutError,
    StreamReader,
    TCPConnector,
)
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from anyio.lowlevel import current_token
from yarl import URL

from orchestrator.apify.http import network_environment
from orchestrator.apify.http.deadlines import DeadlineTimer, Loop
from orchestrator.apify.http.response_body import FAILURES, Answer, failure
from orchestrator.apify.http.sockets import platform_socket
from orchestrator.apify.http.transport import EXACT, KEEPALIVE_SECS, Request
from orchestrator.errors import ConnectionLost, InputRejected

WARY_SECS = 60.0
"""
How long no connection is reused after one broke before it answered again.

The server, or a gateway, may close connections sooner than it is thought to. A start that meets
that is unconfirmed, and waits until its run could be listed.
"""

READ_BYTES = 256 * 1024
# From this size on asyncio asks writers to wait (its high-water mark).
WRITE_BYTES = 64 * 1024


Idle = tuple[Connection, float]
"""A connection that waits for its next request, and when it became idle, by the loop's clock."""


class Origin:
    """
    The connections to one scheme, host and port.

    Args:
        url: such as `https://api.apify.com`.
    """

    def __init__(self, url: str, connector: TCPConnector, loop: Any) -> None:
        self._connector = connector
        self._loop: Loop = loop
        address = URL(url)
        self.host_line = f"Host: {address.host_port_subcomponent}\r\n"
        # The connector asks for a request to learn the address; this one is never sent.
        self._request = ClientRequest("GET", address, loop=loop)
        self._idle: deque[Idle] = deque()
        self._wary_until = 0.0

    async def take(self, connect_secs: float) -> tuple[Connection, bool]:
        """
        A connection without a request on it: the one that was used last, or a new one.

        Returns:
            also whether it was used before.
        """
        now = self._loop.time()
        freshest = now - KEEPALIVE_SECS if now >= self._wary_until else now
        while self._idle:
            connection, since = self._idle.pop()
            protocol = connection.protocol
            if (
                since > freshest
                and protocol is not None
                and protocol.is_connected()
                and not protocol.should_close
            ):
                return connection, True
            connection.close()
        timeout = ClientTimeout(connect=connect_secs, ceil_threshold=EXACT)
        try:
            return await self._connector.connect(self._request, [], timeout), False
        except TimeoutError as error:
            # Distinguished from later timeouts: nothing was sent, so a start had no effect.
            raise ConnectionTimeoutError from error

    def put_back(self, connection: Connection) -> None:
        """Keeps a connection whose answer has been read to its end."""
        now = self._loop.time()
        while self._idle and self._idle[0][1] < now - KEEPALIVE_SECS:
            self._idle.popleft()[0].close()
        self._idle.append((connection, now))

    def note_break(self) -> None:
        """Notes that a connection broke that was used before."""
        self._wary_until = self._loop.time() + WARY_SECS

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop()[0].close()


class DirectTransport:
    """
    HTTP without a proxy; see `Transport`.

    Args:
        root: of the platform.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._origins: dict[str, Origin] = {}

    async def __aenter__(self) -> Self:
        self._loop = cast("Loop", current_token().native_token)
        self._timer = DeadlineTimer(self._loop)
        # No limit here: slots and rate limits decide how many requests are in flight.
        self._connector = TCPConnector(
            limit=0,
            ssl=network_environment.trusted(self._root),
            socket_factory=platform_socket,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.close()
        for origin in self._origins.values():
            origin.close()
        await self._connector.close()

    def send(self, request: Request) -> DirectExchange:
        """Sends a request once."""
        url = request.url
        # Behind `https://`. A full parse for each request would cost more than the rest of this.
        end = url.find("/", 8)
        address, target = (url[:end], url[end:]) if end > 0 else (url, "/")
        origin = self._origins.get(address)
        if origin is None:
            origin = self._origins[address] = Origin(address, self._connector, self._loop)
        return DirectExchange(self._loop, self._timer, origin, target, request)


class DirectExchange:
    """One request and its answer, as an async context manager."""

    __slots__ = (
        "_began_at",
        "_connection",
        "_content",
        "_is_late",
        "_is_sent",
        "_loop",
        "_origin",
        "_progress",
        "_protocol",
        "_request",
        "_target",
        "_timer",
        "_until",
        "due_at",
    )  # fmt: skip

    def __init__(
        self, loop: Loop, timer: DeadlineTimer, origin: Origin, target: str, request: Request
    ) -> None:
        self._loop = loop
        self._timer = timer
        self._origin = origin
        self._target = target
        self._request = request
        self._content: StreamReader | None = None
        self._is_late = False
        self._is_sent = True
        self._progress = -1

    async def __aenter__(self) -> Answer:
        request = self._request
        self._began_at = self._loop.time()
        head = _head(request, self._target, self._origin.host_line)
        try:
            connection, is_reused = await self._origin.take(request.deadlines.connect)
        except FAILURES as error:
            raise failure(error, request) from error
        whole = request.deadlines.whole
        now = self._loop.time()
        if whole is not None and now >= self._began_at + whole:
            # The process was paused: another one may have sent this request meanwhile.
            self._origin.put_back(connection)
            late = ConnectionLost("not sent: its deadline passed while it waited to connect")
            late.had_no_effect = True
            raise late
        self._connection = connection
        self._protocol = protocol = cast("ResponseHandler", connection.protocol)
        try:
            return await self._exchange(protocol, head, now)
        # Also when cancelled: a connection with half an exchange on it must not be used again.
        except BaseException as error:
            self._close()
            if isinstance(error, FAILURES):
                if is_reused and not self._is_late:
                    self._origin.note_break()
                raise failure(self._reason(error), request) from error
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        content = self._content
        if (
            # Only after a complete request and answer: the next one would read the rest.
            self._is_sent
            and content is not None
            and content.is_eof()
            and not self._protocol.should_close
        ):
            self._timer.discard(self)
            self._origin.put_back(self._connection)
        else:
            self._close()

    async def _exchange(self, protocol: ResponseHandler, head: bytes, now: float) -> Answer:
        request = self._request
        deadlines = request.deadlines
        whole = deadlines.whole
        # `encodings` decodes, because aiohttp does not notice a gzip stream that ends too early.
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=None,
            read_bufsize=READ_BYTES,
            timeout_ceil_threshold=EXACT,
        )
        due_at = now + deadlines.first_byte
        self._until = until = due_at if whole is None else self._began_at + whole
        # Not `min`: a call takes ten times as long.
        self.due_at = due_at if due_at < until else until  # noqa: FURB136
        # Before the first write: a platform that reads nothing would hold the exchange for ever.
        self._timer.add(self)
        transport = protocol.transport
        if transport is None:
            raise ConnectionResetError("it was closed by the other side")
        body = request.body
        if body is None or len(body) <= WRITE_BYTES:
            transport.write(head if body is None else head + body)
        else:
            transport.write(head)
            await self._write(protocol, body)
        message, content = await protocol.read()
        # Interim answers (1xx) precede the real one.
        while message.code < 200:
            message, content = await protocol.read()
        self._content = content
        if whole is None:
            self._timer.discard(self)
            if not content.is_eof():
                # The library stops this deadline while a slow reader makes it stop reading.
                protocol.read_timeout = deadlines.silence
                protocol.start_timeout()
        return Answer(message.code, message.headers, content, request)

    async def _write(self, protocol: ResponseHandler, body: bytes) -> None:
        """Writes a large body no faster than the platform reads it."""
        self._is_sent = False
        writer = StreamWriter(protocol, cast("Any", self._loop))
        try:
            for start in range(0, len(body), WRITE_BYTES):
                await writer.write(body[start : start + WRITE_BYTES])
                await writer.drain()
        except ConnectionResetError:
            # The platform may have refused the request before it was whole: the answer says so.
            return
        self._is_sent = True

    def check_deadline(self, now: float) -> None:
        """
        Ends a small exchange that makes no progress; moves the deadline of one that does.

        Silence in the middle of a small answer is noticed after one to two times its deadline.
        """
        content = self._content
        if now < self._until and content is not None and content.total_bytes > self._progress:
            self._progress = content.total_bytes
            self.due_at = min(now + self._request.deadlines.silence, self._until)
            return
        self._is_late = True
        self._timer.discard(self)
        error = TimeoutError()
        self._protocol.set_exception(error)
        if content is not None:
            content.set_exception(error)
        # Not `close`, which first sends what is buffered: a start could act too late.
        self._protocol.abort()

    def _reason(self, error: Exception) -> Exception:
        return TimeoutError() if self._is_late else error

    def _close(self) -> None:
        self._timer.discard(self)
        self._connection.close()


def _head(request: Request, target: str, host_line: str) -> bytes:
    """The request line and the headers."""
    text = f"{request.method} {target} HTTP/1.1\r\n{host_line}{request.headers.text}"
    lines = len(request.headers) + 2
    if request.body is not None or request.method == "POST":
        text += f"Content-Length: {len(request.body or b'')}\r\n"
        lines += 1
    # A line break in a value would smuggle in a header, or a second request.
    if text.count("\n") != lines or text.count("\r") != lines:
        rejected = InputRejected("a line break in a header, such as the content type of an input")
        rejected.had_no_effect = True
        raise rejected
    return f"{text}\r\n".encode()
