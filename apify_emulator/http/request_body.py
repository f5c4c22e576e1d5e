"""How a request's body is read and decompressed within a limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no type information
from aiohttp import web

from apify_emulator.refusals import ApiError, body_too_large

MAX_BODY_BYTES = 9_437_184
_PIECE_BYTES = 4096


async def read_body(request: web.BaseRequest, limit: int = MAX_BODY_BYTES) -> bytes:
    """
    Returns the decompressed body, at most `limit` bytes.

    Raises:
        ApiError: too large (413), an unknown encoding (415), or not valid data (400).
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in _DECODERS:
        raise ApiError(
            415,
            "unsupported-content-encoding",
            f'Content-Encoding "{encoding}" is not supported; use br, gzip, deflate or identity.',
        )
    if not request.body_exists:
        return b""
    # The low-level server of aiohttp leaves this to its handler.
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # Refused before it is read, if the header already says that it is too large.
    declared = request.content_length
    if declared is not None and declared > limit:
        raise body_too_large(limit, declared)
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > limit:
            raise body_too_large(limit, len(raw))
    decode = _DECODERS[encoding]
    if decode is None:
        return bytes(raw)
    try:
        return decode(bytes(raw), limit)
    except (zlib.error, brotli.error) as problem:
        raise ApiError(
            400, "invalid-request", f"The body is not valid {encoding} data: {problem}"
        ) from None


def _inflate(raw: bytes, limit: int, window: int) -> bytes:
    decoder = zlib.decompressobj(window)
    # One byte more than the limit is enough to see that the body is too large.
    body = decoder.decompress(raw, limit + 1)
    if len(body) > limit:
        raise body_too_large(limit, len(body))
    if not decoder.eof:
        raise zlib.error("it ends too early")
    return body


def _gunzip(raw: bytes, limit: int) -> bytes:
    return _inflate(raw, limit, 16 + zlib.MAX_WBITS)


def _undeflate(raw: bytes, limit: int) -> bytes:
    # Clients send "deflate" with and without the zlib header.
    is_wrapped = len(raw) > 1 and raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0
    return _inflate(raw, limit, zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS)


def _unbrotli(raw: bytes, limit: int) -> bytes:
    decoder = brotli.Decompressor()
    body = bytearray()
    for at in range(0, len(raw), _PIECE_BYTES):
        body += decoder.process(raw[at : at + _PIECE_BYTES])
        if len(body) > limit:
            raise body_too_large(limit, len(body))
    if not decoder.is_finished():
        raise brotli.error("it ends too early")
    return bytes(body)


_DECODERS: dict[str, Callable[[bytes, int], bytes] | None] = {
    "identity": None,
    "": None,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
}
