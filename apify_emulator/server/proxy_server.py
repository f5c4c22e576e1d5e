"""
A proxy that passes requests on, where Apify Proxy would change their address.

It speaks HTTP/1.1 with absolute URLs and CONNECT, on loopback only, and asks for the password. SDKs
ask its status page before they use it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import anyio
import orjson
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from apify_emulator.account import PROXY_GROUPS, ProxyPlace
from apify_emulator.errors import AddressUnavailable

_LOG = logging.getLogger(__name__)
_MAX_HEAD_BYTES = 65_536
_HEAD_SECS = 30.0
_CONNECT_SECS = 30.0
_PIECE_BYTES = 65_536
NoteTraffic = Callable[[str, int, int], None]
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_PARAMETER = re.compile(r"(groups|session|country)-([\w.~+-]+)", re.ASCII)
_SESSION_CHARACTERS = 50
_STATUS_HOSTS = frozenset({"proxy.apify.com"})
_HOP_HEADERS = frozenset(
    {b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"upgrade"}
)


@dataclass(frozen=True, slots=True)
class _Head:
    """The first lines of a request."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]

    def value(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key.lower() == name), b"")


@dataclass(slots=True)
class _Traffic:
    """The bytes that the client of one connection has received and sent."""

    received: int = 0
    sent: int = 0


class _Refused(Exception):
    """A request that the proxy answers itself."""

    def __init__(self, status: str, message: str, *, header: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.header = header


@asynccontextmanager
async def serving_proxy(place: ProxyPlace, note_traffic: NoteTraffic) -> AsyncIterator[None]:
    """
    Serves the proxy on a free port of loopback as long as the context is open; sets the port.

    Args:
        note_traffic: called with a run and the bytes that it has received and sent.

    Raises:
        AddressUnavailable: no port can be listened on.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    except OSError as problem:
        raise AddressUnavailable(f"the proxy cannot listen: {problem.strerror}") from problem
    async with listener:
        place.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - this is not Django's
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, _Proxy(place, note_traffic).connection, name="proxy")
            try:
                yield
            except Exception as problem:  # noqa: BLE001 - raised again below, out of the group
                failure = problem
            finally:
                group.cancel_scope.cancel()
        # Outside the task group, which would wrap the error in a group.
        if failure is not None:
            raise failure


class _Proxy:
    def __init__(self, place: ProxyPlace, note_traffic: NoteTraffic) -> None:
        self._place = place
        self._note_traffic = note_traffic

    async def connection(self, client: ByteStream) -> None:
        """Answers one connection."""
        try:
            async with client:
                await self._answer(client)
        except (*_BROKEN, OSError):
            return
        except Exception:  # noqa: BLE001 - a bug here ends one connection, not the emulator
            _LOG.exception("the proxy failed")

    async def _answer(self, client: ByteStream) -> None:
        incoming = BufferedByteReceiveStream(client)
        try:
            with anyio.fail_after(_HEAD_SECS):
                head = _parsed(await incoming.receive_until(b"\r\n\r\n", _MAX_HEAD_BYTES))
            await self._forward(client, incoming, head)
        except _Refused as refusal:
            await client.send(_answer(refusal.status, f"{refusal}\n".encode(), refusal.header))
        except (anyio.DelimiterNotFound, TimeoutError):
            await client.send(_answer("400 Bad Request", b"The request has no valid head.\n"))

    async def _forward(
        self, client: ByteStream, incoming: BufferedByteReceiveStream, head: _Head
    ) -> None:
        problem = self._problem(head)
        if self._is_status_page(head):
            await client.send(_answer("200 OK", _status(problem), "Content-Type: application/json"))
            return
        if problem is not None:
            raise problem
        host, port = _address(head)
        try:
            with anyio.fail_after(_CONNECT_SECS):
                target = await anyio.connect_tcp(host, port)
        except (OSError, TimeoutError) as error:
            raise _Refused(
                "595 ECONNREFUSED", f"{host}:{port} cannot be reached: {error}"
            ) from error
        async with target:
            if head.method == "CONNECT":
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                await target.send(_rewritten(head))
            traffic = _Traffic()
            try:
                await _pass_both_ways(client, incoming, target, traffic)
            finally:
                run_id = self._place.run_of(_credentials(head)[1])
                if run_id is not None:
                    self._note_traffic(run_id, traffic.received, traffic.sent)

    def _is_status_page(self, head: _Head) -> bool:
        if head.method == "CONNECT":
            return False
        host, port = _place(head.target)
        is_own = host in ("127.0.0.1", "localhost") and port == self._place.port
        return is_own or host in ("", *_STATUS_HOSTS)

    def _problem(self, head: _Head) -> _Refused | None:
        """Returns what is wrong with the credentials of a request; None if they are valid."""
        username, password = _credentials(head)
        if not self._place.accepts(password):
            return _Refused(
                "407 Proxy Authentication Required",
                "The proxy needs the password of users/me; check APIFY_PROXY_PASSWORD.",
                header='Proxy-Authenticate: Basic realm="Apify Proxy"',
            )
        return _username_problem(username)


def _credentials(head: _Head) -> tuple[str, str]:
    """Returns the username and the password of a request; both are empty without them."""
    scheme, _, encoded = head.value(b"proxy-authorization").decode("latin-1").partition(" ")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    username, _, password = text.partition(":")
    return (unquote(username), unquote(password)) if scheme.lower() == "basic" else ("", "")


def _username_problem(username: str) -> _Refused | None:
    for part in username.split(","):
        if part in ("", "auto"):
            continue
        match = _PARAMETER.fullmatch(part)
        if match is None:
            return _Refused("403 Forbidden", f'Invalid proxy username: unknown part "{part}".')
        if match[1] == "session" and len(match[2]) > _SESSION_CHARACTERS:
            return _Refused("403 Forbidden", "Invalid proxy session: at most 50 characters.")
        if match[1] == "groups":
            unknown = [group for group in match[2].split("+") if group not in PROXY_GROUPS]
            if unknown:
                return _Refused(
                    "403 Forbidden",
                    f'Invalid proxy group "{unknown[0]}": it does not exist or the account has no '
                    "access to it.",
                )
    return None


def _parsed(raw: bytes) -> _Head:
    first, *lines = raw.split(b"\r\n")
    words = first.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", "The first line is not that of an HTTP/1.1 request.")
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise _Refused("400 Bad Request", "A header line is not valid.")
        headers.append((name, value.strip()))
    return _Head(words[0], words[1], tuple(headers))


def _place(target: str) -> tuple[str, int | None]:
    """Returns the host and the port of a URL; an empty host for a path."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError as problem:
        raise _Refused("400 Bad Request", f"The URL is not valid: {problem}.") from problem
    return host, port


def _address(head: _Head) -> tuple[str, int]:
    is_connect = head.method == "CONNECT"
    host, port = _place(f"//{head.target}" if is_connect else head.target)
    if not host or port == 0 or (not is_connect and not head.target.lower().startswith("http://")):
        raise _Refused("400 Bad Request", "The request names no http URL and no HOST:PORT.")
    return host, port or (443 if is_connect else 80)


def _rewritten(head: _Head) -> bytes:
    """Returns the head for the target: its own path, and one request for each connection."""
    parts = urlsplit(head.target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{head.method} {path} HTTP/1.1".encode("latin-1")]
    lines += [b"%b: %b" % pair for pair in head.headers if pair[0].lower() not in _HOP_HEADERS]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _status(problem: _Refused | None) -> bytes:
    message = None if problem is None else str(problem)
    return orjson.dumps(
        {"connected": problem is None, "connectionError": message, "isManInTheMiddle": False}
    )


def _answer(status: str, body: bytes, header: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    if header:
        lines.append(header)
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def _pass_both_ways(
    client: ByteStream,
    incoming: BufferedByteReceiveStream,
    target: ByteStream,
    traffic: _Traffic,
) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_pass_on, incoming, target, traffic)
        # The answer of the target is the end: its connection is closed after it.
        await _pass_on_all(target, client, traffic)
        group.cancel_scope.cancel()


async def _pass_on(
    source: BufferedByteReceiveStream, target: ByteStream, traffic: _Traffic
) -> None:
    with contextlib.suppress(*_BROKEN):
        while True:
            piece = await source.receive(_PIECE_BYTES)
            traffic.sent += len(piece)
            await target.send(piece)
    with contextlib.suppress(*_BROKEN):
        await target.send_eof()


async def _pass_on_all(source: ByteStream, target: ByteStream, traffic: _Traffic) -> None:
    with contextlib.suppress(*_BROKEN):
        while True:
            piece = await source.receive(_PIECE_BYTES)
            traffic.received += len(piece)
            await target.send(piece)
