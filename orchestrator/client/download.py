"""
A body that is streamed: items, records, logs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType

from orchestrator.client.transport import Response
from orchestrator.errors import ServerFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """
    An answer whose headers have arrived and whose body can be read once.

    Attributes:
        status: 2xx.
        content_type: as told, with its parameters; empty where none was told.
        total: how many items the dataset holds, as the platform counts them.
        count: how many stored items went into this answer, before filters dropped any.
        offset: how many were skipped.
        limit: the most that this answer could hold.
        desc: whether the newest come first.

    The four numbers are None where the answer does not tell them: they belong to items.
    """

    status: int
    content_type: str
    total: int | None
    count: int | None
    offset: int | None
    limit: int | None
    desc: bool | None
    _response: Response = field(repr=False)

    @classmethod
    def of(cls, response: Response) -> Download:
        """
        The download of an answer.
        """
        headers = response.headers
        desc = headers.get("X-Apify-Pagination-Desc")
        return cls(
            status=response.status,
            content_type=headers.get("Content-Type", ""),
            total=_number(headers, "X-Apify-Pagination-Total"),
            count=_number(headers, "X-Apify-Pagination-Count"),
            offset=_number(headers, "X-Apify-Pagination-Offset"),
            limit=_number(headers, "X-Apify-Pagination-Limit"),
            desc=None if desc is None else desc.lower() in {"true", "1"},
            _response=response,
        )

    def chunks(self) -> AsyncIterator[bytes]:
        """
        The body in pieces as they arrive, decoded; the iteration ends only when it is whole.

        Raises:
            TruncatedBody, ConnectionLost: it broke off.
            RequestTimeout: nothing came for `silence_timeout_secs`.
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


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    return int(text) if text and text.isdecimal() else None


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
        return Download.of(response)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)
