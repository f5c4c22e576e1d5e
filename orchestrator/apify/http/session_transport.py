"""
HTTP by aiohttp's session: the transport for networks with a proxy.

Everything that the library might do by itself is off: no second try on a broken connection, no
redirect, no cookie, no proxy or netrc lookup per request, no decoding.
"""

from __future__ import annotations

import io
from functools import lru_cache
from types import TracebackType
from typing import Self

import anyio
from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from yarl import URL

from orchestrator.apify.http import network_environment
from orchestrator.apify.http.response_body import FAILURES, Answer, failure, reason_of
from orchestrator.apify.http.sockets import platform_socket
from orchestrator.apify.http.transport import (
    EXACT,
    KEEPALIVE_SECS,
    Deadlines,
    Headers,
    Request,
)

LARGE_BYTES = 2**20


class BrokeAfterSending(ClientConnectionError):
    """The connection broke with a request on it."""


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """
    Hides from aiohttp the errors on which it would send a GET a second time.

    Some GETs start a run that costs money. aiohttp's own second try cannot be turned off by a
    public setting; it acts on exactly these two errors, and not on this other one.
    """
    try:
        return await handler(request)
    except (ConnectionTimeoutError, ClientConnectorError):
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise BrokeAfterSending(reason_of(error)) from error


class SessionTransport:
    """
    HTTP through the environment's proxy, where it names one; see `Transport`.

    Args:
        root: of the platform; its proxy is looked up once.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    async def __aenter__(self) -> Self:
        self._proxy = network_environment.proxy_for(self._root)
        self._session = ClientSession(
            connector=TCPConnector(
                limit=0,
                keepalive_timeout=KEEPALIVE_SECS,
                ssl=network_environment.trusted(self._root),
                socket_factory=platform_socket,
            ),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            middlewares=(send_once,),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    def send(self, request: Request) -> SessionExchange:
        """Sends a request once."""
        # A redirect leads to another host, for which NO_PROXY may say something else.
        own = request.url.startswith(self._root)
        proxy = self._proxy if own else network_environment.proxy_for(request.url)
        return SessionExchange(self._session, request, proxy)


class SessionExchange:
    """One request and its answer, as an async context manager."""

    __slots__ = ("_proxy", "_request", "_response", "_session")

    def __init__(
        self, session: ClientSession, request: Request, proxy: network_environment.Proxy | None
    ) -> None:
        self._session = session
        self._request = request
        self._proxy = proxy

    async def __aenter__(self) -> Answer:
        request = self._request
        proxy = self._proxy
        headers = request.headers
        if proxy is not None and request.url.startswith("http:"):
            # Without a tunnel the proxy reads the request's own headers.
            headers = Headers({**headers, **proxy.headers})
        deadlines = request.deadlines
        try:
            # The library's deadline of the first byte ends with an interim answer (1xx).
            with anyio.fail_after(deadlines.connect + deadlines.first_byte + deadlines.silence):
                response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=_in_pieces(request.body),
                    headers=headers,
                    timeout=_timeout(deadlines),
                    allow_redirects=False,
                    proxy=proxy.url if proxy else None,
                    proxy_headers=proxy.headers if proxy else None,
                )
        except FAILURES as error:
            raise failure(error, request) from error
        self._response = response
        protocol = None if response.connection is None else response.connection.protocol
        if protocol is not None:
            # The library keeps the deadline of the first byte until more bytes arrive.
            protocol.read_timeout = deadlines.silence
            protocol.start_timeout()
        return Answer(response.status, response.headers, response.content, request)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After the end of the body the connection is already back in the pool; before it,
        # it cannot be used again.
        self._response.close()


def _in_pieces(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body as a file: the library would write its bytes at once, and warns of that."""
    return io.BytesIO(body) if body is not None and len(body) > LARGE_BYTES else body


@lru_cache(maxsize=256)
def _timeout(deadlines: Deadlines) -> ClientTimeout:
    return ClientTimeout(
        total=deadlines.whole,
        connect=deadlines.connect,
        sock_read=deadlines.first_byte,
        ceil_threshold=EXACT,
    )
