"""
What the client needs of HTTP: send one request once, and read its answer.

The client above decides what may be repeated and what an answer means; whoever implements this
sends each request at most once, follows no redirect, and reports failures in the words below. Real
HTTP is in `direct_transport` and, through a proxy, in `session_transport`; a simulation puts a
platform in memory here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import NamedTuple, Protocol, Self

KEEPALIVE_SECS = 15.0
"""
How long an idle connection is kept: shorter than servers and gateways keep theirs, so that a
request seldom meets a connection that is just being closed, which leaves a start unclear.
"""

EXACT = float("inf")
"""The threshold from which aiohttp would round deadlines up to whole seconds: never."""


class Deadlines(NamedTuple):
    """
    How long the phases of one exchange may take, in seconds.

    Attributes:
        connect: until there is a connection.
        first_byte: from the end of the request to the first byte of the answer.
        silence: between two pieces of the body.
        whole: of the exchange with its body; None for a body of any length.
    """

    connect: float
    first_byte: float
    silence: float
    whole: float | None


class Headers(dict[str, str]):
    """
    The headers of a request, which never change: most requests of a client share them.

    Attributes:
        text: as they are written, each on its line.
    """

    __slots__ = ("text",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


class Request(NamedTuple):
    """
    One request.

    Attributes:
        method: in capitals.
        url: absolute, encoded, with its query; holds no secret.
        headers: complete; nothing is added but what framing needs.
        body: as it is sent, compressed where a header says so.
    """

    method: str
    url: str
    headers: Headers
    deadlines: Deadlines
    body: bytes | None = None


class Response(Protocol):
    """An answer, of which status and headers have arrived."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are matched without regard to case."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """
        The whole body, decoded.

        Raises:
            ServerFault: it is longer than the limit.
            TruncatedBody, ConnectionLost, RequestTimeout.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """
        The body, decoded, in pieces as they arrive; once.

        Raises:
            TruncatedBody, ConnectionLost, RequestTimeout.
        """
        ...


class Transport(Protocol):
    """Sends requests; an async context manager that is entered once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def send(self, request: Request) -> AbstractAsyncContextManager[Response]:
        """
        Sends a request once; what is left of the answer is given up on leaving.

        Raises:
            ConnectionLost: `had_no_effect` when nothing of the request left.
            RequestTimeout: a deadline passed after something was sent.
            ServerFault: the answer is not HTTP.
        """
        ...
