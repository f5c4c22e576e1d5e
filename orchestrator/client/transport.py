"""
HTTP by aiohttp: one session, deadlines for each phase, foreign errors turned into ours.

A request is sent once here and never repeated: aiohttp's own repetition of idempotent methods is
switched off, because one GET of this API starts a paid run. Repeating is `client.backoff`'s
decision alone. Redirects are followed here for reads, and the token goes to our own host only.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from pydantic import SecretStr
from yarl import URL

from orchestrator.errors import (
    ConnectionLost,
    PlatformError,
    RequestTimeout,
    ServerFault,
    TruncatedBody,
)

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
COMPRESS_FROM_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request.

    Attributes:
        path: below `/v2`, percent-encoded, with its query.
        body: sent compressed when that makes it smaller.
        answer_within_secs: silence that is allowed before the answer begins.
        whole_within_secs: for all of it; None for bodies that are streamed.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_within_secs: float = 30.0
    whole_within_secs: float | None = 60.0

    @property
    def shown_path(self) -> str:
        """
        The path without its query, which may hold what belongs in no message.
        """
        return self.path.partition("?")[0]


class Answer(Protocol):
    """
    What came back: its head, and its body to be read once.
    """

    status: int
    headers: Mapping[str, str]

    async def read(self, limit_bytes: int) -> bytes:
        """
        The whole body, decoded.

        Raises:
            TransientError: it broke, or is longer than the limit.
        """

    def pieces(self) -> AsyncIterator[bytes]:
        """
        The body as it comes, decoded; raises TransientError where it breaks.
        """


class Transport(Protocol):
    """
    Sends requests; a simulation puts a platform in its place.
    """

    def send(self, request: Request) -> AbstractAsyncContextManager[Answer]:
        """
        Sends a request once.

        Raises:
            TransientError: no answer came; `ConnectionLost.sent` tells whether one was asked for.
        """

    async def __aenter__(self) -> Self:
        """
        Opens what is needed to send.
        """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Closes it.
        """


@dataclass(slots=True)
class Download:
    """
    A body that is streamed, with what its headers tell.

    Attributes:
        total: items of the dataset (`X-Apify-Pagination-Total`); None where not told.
        count: items that this answer covers, before filters.
    """

    status: int
    content_type: str
    total: int | None
    count: int | None
    _answer: Answer

    def chunks(self) -> AsyncIterator[bytes]:
        """
        The body, piece by piece; may be called once.

        Raises:
            TruncatedBody, ConnectionLost, RequestTimeout: it broke; what came so far is good.
        """
        return self._answer.pieces()


class AiohttpTransport:
    """
    The real one; an async context manager.

    Args:
        base_url: of the API, ending in `/v2`.
        silence_secs: the longest pause in the middle of a body.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: SecretStr | None,
        user_agent: str,
        connect_secs: float,
        silence_secs: float,
    ) -> None:
        self._base_url = base_url
        self._origin = URL(base_url).origin()
        self._user_agent = user_agent
        self._headers = (
            {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        )
        self._connect_secs = connect_secs
        self._silence_secs = silence_secs
        self._timeouts: dict[tuple[float, float | None], aiohttp.ClientTimeout] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls(), ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip, deflate"},
            trust_env=True,
            requote_redirect_url=False,
            read_bufsize=256 * 1024,
        )
        # Otherwise aiohttp sends a GET again whose connection broke before the answer.
        self._session._retry_connection = False  # noqa: SLF001 - there is no public switch
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Answer]:
        """
        Sends a request once; see `Transport`.
        """
        response = await self._open(request)
        try:
            yield AiohttpAnswer(request, response)
        finally:
            # A body that was not read to its end makes the connection useless for the next one.
            response.release() if response.content.at_eof() else response.close()

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        url = URL(self._base_url + request.path, encoded=True)
        headers = {**self._headers, **request.headers}
        body = request.body
        if body is not None and len(body) >= COMPRESS_FROM_BYTES:
            body, headers = _compressed(body, headers)
        timeout = self._timeout(request)
        for _ in range(MOST_REDIRECTS):
            with translated(request):
                response = await self._session.request(
                    request.method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                )
            if response.status not in REDIRECTS or request.method not in {"GET", "HEAD"}:
                return response
            target = response.headers.get("Location")
            response.close()
            if target is None:
                break
            url = url.join(URL(target, encoded=True))
            if url.origin() != self._origin:
                headers = dict(request.headers)
        raise ServerFault(
            "redirected without an end",
            method=request.method,
            path=request.shown_path,
            status=response.status,
        )

    def _timeout(self, request: Request) -> aiohttp.ClientTimeout:
        key = (request.answer_within_secs, request.whole_within_secs)
        timeout = self._timeouts.get(key)
        if timeout is None:
            timeout = self._timeouts[key] = aiohttp.ClientTimeout(
                total=request.whole_within_secs,
                sock_connect=self._connect_secs,
                sock_read=max(request.answer_within_secs, self._silence_secs)
                if request.whole_within_secs is None
                else request.answer_within_secs,
            )
        return timeout


class AiohttpAnswer:
    """
    An answer of aiohttp's; see `Answer`.
    """

    __slots__ = ("_request", "_response", "headers", "status")

    def __init__(self, request: Request, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit_bytes: int) -> bytes:
        """
        The whole body; see `Answer`.
        """
        with translated(self._request, answered=True):
            body = await self._response.content.read(-1) if self._is_short(limit_bytes) else None
            if body is not None:
                return body
            parts = bytearray()
            async for piece in self._response.content.iter_any():
                parts += piece
                if len(parts) > limit_bytes:
                    raise ServerFault(
                        f"the answer is longer than {limit_bytes} bytes",
                        method=self._request.method,
                        path=self._request.shown_path,
                        status=self.status,
                    )
            return bytes(parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        """
        The body as it comes; see `Answer`.
        """
        with translated(self._request, answered=True):
            async for piece in self._response.content.iter_any():
                yield piece

    def _is_short(self, limit_bytes: int) -> bool:
        length = self._response.content_length
        packed = "Content-Encoding" in self._response.headers
        return length is not None and not packed and length <= limit_bytes


class translated:  # noqa: N801 - reads as a statement
    """
    Turns aiohttp's errors into ours; a plain class, since it stands around every request.
    """

    __slots__ = ("_answered", "_request")

    def __init__(self, request: Request, *, answered: bool = False) -> None:
        self._request = request
        self._answered = answered

    def __enter__(self) -> None:
        """
        Nothing to do before.
        """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError, zlib.error)):
            raise self._error_of(error) from error

    def _error_of(self, error: Exception) -> PlatformError:
        method, path = self._request.method, self._request.shown_path
        match error:
            case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                lost = ConnectionLost(f"no connection: {_reason(error)}", method=method, path=path)
                lost.sent = False
                return lost
            case TimeoutError():
                said = "the answer stopped coming" if self._answered else "no answer came in time"
                return RequestTimeout(said, method=method, path=path)
            case aiohttp.ClientPayloadError() | zlib.error():
                return TruncatedBody(
                    "the answer broke off or cannot be decoded", method=method, path=path
                )
            case _:
                said = f"the connection broke: {_reason(error)}"
                return ConnectionLost(said, method=method, path=path)


def _reason(error: Exception) -> str:
    """
    Why there is no connection, without addresses that aiohttp would add twice.
    """
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "it did not come about in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
    return str(error) or type(error).__name__


def _compressed(body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """
    The body in gzip when that is smaller; fast rather than tight.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = packer.compress(body) + packer.flush()
    if len(packed) >= len(body):
        return body, headers
    return packed, {**headers, "Content-Encoding": "gzip"}


def _tls() -> ssl.SSLContext:
    """
    The system's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name.
    """
    return ssl.create_default_context()
