"""A body that is streamed: items, records, logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from orchestrator.apify.http.headers import whole_number
from orchestrator.apify.http.transport import Response
from orchestrator.errors import ServerFault


class Download:
    """
    An answer whose headers have arrived and whose body can be read once.

    Args:
        response: 2xx.
    """

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status, 2xx."""
        return self._response.status

    @property
    def content_type(self) -> str:
        """With its parameters; empty where the answer has none."""
        return self._response.headers.get("Content-Type", "")

    @property
    def length(self) -> int | None:
        """Of the body on the wire, in bytes; None where the answer does not say."""
        return self._number("Content-Length")

    @property
    def total(self) -> int | None:
        """How many items the dataset holds, as the platform counts them; None for other answers."""
        return self._number("X-Apify-Pagination-Total")

    @property
    def total_text(self) -> str | None:
        """The same as it was sent, which need not be a number; None where it is missing."""
        return self._response.headers.get("X-Apify-Pagination-Total")

    @property
    def count(self) -> int | None:
        """How many stored items went into this answer, before filters dropped any."""
        return self._number("X-Apify-Pagination-Count")

    @property
    def offset(self) -> int | None:
        """How many items were skipped."""
        return self._number("X-Apify-Pagination-Offset")

    @property
    def limit(self) -> int | None:
        """The most items that this answer could hold."""
        return self._number("X-Apify-Pagination-Limit")

    @property
    def desc(self) -> bool | None:
        """Whether the newest items come first."""
        text = self._response.headers.get("X-Apify-Pagination-Desc")
        return None if text is None else text.lower() in {"true", "1"}

    def chunks(self) -> AsyncIterator[bytes]:
        """
        The body in pieces as they arrive, decoded; the iteration ends only when it is whole.

        Raises:
            TruncatedBody, ConnectionLost: it broke off.
            RequestTimeout: nothing arrived for `silence_timeout_secs`.
        """
        return self._response.chunks()

    async def read(self, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        """
        The whole body.

        Raises:
            ServerFault: it is longer than the limit.
            TruncatedBody, ConnectionLost, RequestTimeout: as for `chunks`.
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit_bytes:
                raise ServerFault(f"the body is longer than {limit_bytes} bytes")
        return bytes(body)

    def _number(self, name: str) -> int | None:
        return whole_number(self._response.headers.get(name))


Opened = tuple[AbstractAsyncContextManager[Response], Response]


class Opening:
    """
    A download to be opened by `async with`; leaving it gives up what was not read.

    Args:
        open_exchange: sends the request; the answer is 2xx.
    """

    __slots__ = ("_exchange", "_open")

    def __init__(self, open_exchange: Callable[[], Awaitable[Opened]]) -> None:
        self._open = open_exchange

    async def __aenter__(self) -> Download:
        self._exchange, response = await self._open()
        return Download(response)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)
