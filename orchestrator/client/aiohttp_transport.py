"""
HTTP by aiohttp: one session that keeps connections, each request sent once.

Everything that the library might do by itself is off: no second try on a broken connection, no
redirect, no cookie, no proxy or netrc lookup per request, no decoding.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
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

from orchestrator.client import environment
from orchestrator.client.encodings import Decoder, decoder_for
from orchestrator.client.transport import Deadlines, Request
from orchestrator.errors import (
    ConnectionLost,
    PlatformError,
    RequestTimeout,
    ServerFault,
    TruncatedBody,
)

KEEPALIVE_SECS = 15.0
"""
Shorter than any server's or gateway's own, so that a request seldom meets a connection that is just
being closed: for a start that would be an unclear answer.
"""

DNS_CACHE_SECS = 30
EXACT = float("inf")


class BrokeAfterSending(ClientConnectionError):
    """
    The connection broke with a request on it.
    """


async def send_once(request: ClientRequest, handler: aiohttp.ClientHandlerType) -> ClientResponse:
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
        raise BrokeAfterSending(str(error)) from error


class AiohttpTransport:
    """
    Real HTTP; see `Transport`.

    Args:
        root: of the platform; the environment's proxy for it is looked up once.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    async def __aenter__(self) -> Self:
        self._proxy = environment.proxy_for(self._root)
        trusted = environment.certificates()
        self._tls: ssl.SSLContext | bool = True if trusted is None else trusted
        self._session = ClientSession(
            connector=TCPConnector(
                limit=0,
                keepalive_timeout=KEEPALIVE_SECS,
                ttl_dns_cache=DNS_CACHE_SECS,
                ssl=self._tls,
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

    def send(self, request: Request) -> Exchange:
        """
        Sends a request once.
        """
        return Exchange(self._session, request, self._proxy_of(request))

    def _proxy_of(self, request: Request) -> environment.Proxy | None:
        if request.url.startswith(self._root):
            return self._proxy
        return environment.proxy_for(request.url)


class Exchange:
    """
    One request and its answer, as an async context manager.
    """

    __slots__ = ("_proxy", "_request", "_response", "_session")

    def __init__(
        self, session: ClientSession, request: Request, proxy: environment.Proxy | None
    ) -> None:
        self._session = session
        self._request = request
        self._proxy = proxy

    async def __aenter__(self) -> Answer:
        request = self._request
        proxy = self._proxy
        try:
            response = await self._session.request(
                request.method,
                _url(request.url),
                data=request.body,
                headers=request.headers,
                timeout=_timeout(request.deadlines),
                allow_redirects=False,
                proxy=proxy.url if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
            )
        except (ClientError, TimeoutError, OSError) as error:
            raise _failure(error, request) from error
        self._response = response
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = request.deadlines.silence
        return Answer(response, request)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After the end of the body the connection is already back in the pool; before it,
        # it cannot be used again.
        self._response.close()


class Answer:
    """
    An answer whose body is still to be read; see `Response`.
    """

    __slots__ = ("_request", "_response", "headers", "status")

    def __init__(self, response: ClientResponse, request: Request) -> None:
        self._response = response
        self._request = request
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        """
        The whole body, decoded.
        """
        length = self.headers.get("Content-Length")
        if length is not None and "Content-Encoding" not in self.headers:
            if int(length) > limit_bytes:
                raise _too_long(limit_bytes, self._request)
            try:
                return await self._response.read()
            except (ClientError, TimeoutError, OSError) as error:
                raise _failure(error, self._request, answered=True) from error
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit_bytes:
                raise _too_long(limit_bytes, self._request)
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """
        The body, decoded, in pieces as they arrive.
        """
        try:
            decoder = decoder_for(self.headers.get("Content-Encoding", ""))
            async for chunk in _decoded(self._response, decoder):
                yield chunk
        except PlatformError as error:
            _place(error, self._request)
            raise
        except (ClientError, TimeoutError, OSError) as error:
            raise _failure(error, self._request, answered=True) from error


async def _decoded(response: ClientResponse, decoder: Decoder | None) -> AsyncIterator[bytes]:
    content = response.content
    while chunk := await content.readany():
        text = chunk if decoder is None else decoder.feed(chunk)
        if text:
            yield text
    if decoder is not None:
        decoder.finish()


def _url(text: str) -> URL:
    """
    The URL as it stands; building it from parts is cheaper than having it parsed.
    """
    scheme, _, rest = text.partition("://")
    authority, slash, rest = rest.partition("/")
    path, _, query = rest.partition("?")
    return URL.build(
        scheme=scheme, authority=authority, path=slash + path, query_string=query, encoded=True
    )


@lru_cache(maxsize=256)
def _timeout(deadlines: Deadlines) -> ClientTimeout:
    return ClientTimeout(
        total=deadlines.whole,
        connect=deadlines.connect,
        sock_read=deadlines.first_byte,
        ceil_threshold=EXACT,
    )


def _too_long(limit_bytes: int, request: Request) -> PlatformError:
    return _place(ServerFault(f"the answer is longer than {limit_bytes} bytes"), request)


def _place(error: PlatformError, request: Request) -> PlatformError:
    error.method = error.method or request.method
    error.path = error.path or urlsplit(request.url).path
    return error


def _failure(error: Exception, request: Request, *, answered: bool = False) -> PlatformError:
    """
    Our word for what went wrong on the way.
    """
    return _place(_named(error, request, answered), request)


def _named(error: Exception, request: Request, answered: bool) -> PlatformError:
    host = urlsplit(request.url).netloc
    match error:
        case ConnectionTimeoutError():
            return _unsent(f"no connection to {host} within {request.deadlines.connect:g} s")
        case ClientConnectorCertificateError():
            return _unsent(
                f"the certificate of {host} is not trusted ({error.certificate_error}); name its "
                "authority's file in SSL_CERT_FILE"
            )
        case ClientProxyConnectionError():
            return _unsent(f"no connection to the proxy for {host} ({_reason(error)})")
        case ClientConnectorError():
            return _unsent(f"no connection to {host} ({_reason(error)})")
        case ClientHttpProxyError():
            return _unsent(f"the proxy refuses a connection to {host} (HTTP {error.status})")
        case TimeoutError():
            return RequestTimeout(
                f"{host} was silent in the middle of its answer"
                if answered
                else f"{host} did not answer in time"
            )
        case ClientPayloadError():
            return TruncatedBody("the connection broke in the middle of the answer")
        case ClientConnectionError() | OSError():
            return ConnectionLost(f"the connection to {host} broke ({_reason(error)})")
        case _:
            return ServerFault(f"the answer of {host} is not HTTP")


def _unsent(message: str) -> ConnectionLost:
    error = ConnectionLost(message)
    error.sent = False
    return error


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, BrokeAfterSending) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause)[:200] or type(cause).__name__
