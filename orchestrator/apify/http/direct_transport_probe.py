"""
Tries the direct transport in memory, because it uses parts of aiohttp that may change.

Four exchanges go through the real code of the transport and the real parser of aiohttp, with a
connection that answers by itself. That takes about a millisecond and needs no network.
"""

from __future__ import annotations

from collections.abc import Coroutine
from inspect import signature
from typing import Any, cast

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from orchestrator.apify.http.deadlines import DeadlineTimer
from orchestrator.apify.http.direct_transport import WRITE_BYTES, DirectExchange, Origin
from orchestrator.apify.http.transport import Deadlines, Headers, Request
from orchestrator.errors import RequestTimeout

URL = "http://probe.invalid"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
BODY = b"ok"
SMALL = Deadlines(connect=1, first_byte=1, silence=1, whole=1)
LATER = 1e9


class ProbeFailed(Exception):
    """The direct transport does not do what it should with this version of aiohttp."""


def probe_direct_transport() -> None:
    """
    Returns when all exchanges went as they should.

    Raises:
        Exception: what a changed part of aiohttp causes, of any kind; or `ProbeFailed`.
    """
    # Connections of the probe are not aiohttp's, so what the transport asks of those is checked.
    for name in ("close", "protocol"):
        _require(hasattr(Connection, name), f"Connection.{name}")
    wire = _Wire()
    for exchange in (_small_answer, _large_request, _streamed_answer, _late_answer):
        _finish(exchange(_Place(wire)), exchange.__name__.strip("_"))


async def _small_answer(place: _Place) -> None:
    place.wire.answer = HEAD + BODY
    # Twice: the second exchange has to find the connection of the first.
    for _ in range(2):
        async with place.exchange("GET") as answer:
            _require(answer.status == 200 and await answer.read(len(BODY)) == BODY, "answer")
    _require(place.connector.opened == 1, "connection that is kept")


async def _large_request(place: _Place) -> None:
    place.wire.answer = HEAD + BODY
    async with place.exchange("POST", b"x" * (WRITE_BYTES + 1)) as answer:
        _require(await answer.read(len(BODY)) == BODY, "answer")
    _require(place.wire.written > WRITE_BYTES, "request that is written")


async def _streamed_answer(place: _Place) -> None:
    place.wire.answer = HEAD
    async with place.exchange("GET", whole=None) as answer:
        place.wire.protocol.data_received(BODY)
        _require([chunk async for chunk in answer.chunks()] == [BODY], "answer")


async def _late_answer(place: _Place) -> None:
    place.wire.answer = HEAD
    exchange = place.exchange("GET")
    async with exchange as answer:
        exchange.check_deadline(LATER)
        try:
            await answer.read(len(BODY))
        except RequestTimeout:
            _require(place.wire.is_aborted, "connection that is aborted")
            return
    raise ProbeFailed("a late answer is not noticed")


class _Place:
    """What one exchange needs: connections to one origin, all with one wire."""

    def __init__(self, wire: _Wire) -> None:
        self.wire = wire
        self._loop = _Loop()
        self.connector = _Connector(wire, self._loop)
        self._origin = Origin(URL, cast("TCPConnector", self.connector), self._loop)

    def exchange(
        self, method: str, body: bytes | None = None, *, whole: float | None = SMALL.whole
    ) -> DirectExchange:
        self.wire.is_answered = False
        request = Request(method, URL, Headers({}), SMALL._replace(whole=whole), body)
        return DirectExchange(self._loop, DeadlineTimer(self._loop), self._origin, "/", request)


class _Wire:
    """The part of asyncio's transports that aiohttp uses; answers the first bytes of a request."""

    def __init__(self) -> None:
        self.answer = b""
        self.is_answered = False
        self.is_aborted = False
        self.written = 0
        self.protocol: ResponseHandler

    def write(self, data: bytes) -> None:
        self.written += len(data)
        if not self.is_answered:
            self.is_answered = True
            self.protocol.data_received(self.answer)

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:  # noqa: ARG002
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Timer:
    def cancel(self) -> None:
        pass


class _Loop:
    """An event loop in which no time passes and nothing has to be waited for."""

    def time(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: object, *_: object) -> _Timer:  # noqa: ARG002
        return _Timer()

    call_at = call_later

    def get_debug(self) -> bool:
        return False


class _Connection:
    def __init__(self, protocol: ResponseHandler) -> None:
        self.protocol = protocol

    def close(self) -> None:
        pass


class _Connector:
    def __init__(self, wire: _Wire, loop: _Loop) -> None:
        self._wire = wire
        self._loop = loop
        self.opened = 0

    async def connect(self, *arguments: object) -> _Connection:
        # Fails if the library's own method does not take what the transport passes.
        signature(TCPConnector.connect).bind(self, *arguments)
        self.opened += 1
        protocol = self._wire.protocol = ResponseHandler(cast("Any", self._loop))
        protocol.connection_made(cast("Any", self._wire))
        return _Connection(protocol)


def _require(holds: bool, part: str) -> None:
    if not holds:
        raise ProbeFailed(f"{part}: not as expected")


def _finish(exchange: Coroutine[Any, Any, None], name: str) -> None:
    """Runs an exchange, which finds all that it waits for."""
    try:
        exchange.send(None)
    except StopIteration:
        return
    exchange.close()
    raise ProbeFailed(f"{name.replace('_', ' ')}: waits for something")
