"""How an answer is sent."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator

from aiohttp import web

from apify_emulator.http.answers import Answer
from apify_emulator.http.chunks import Chunks, each

RATE_LIMIT = "60"
# A record may be a page of a foreign site, and has the same origin as the pages of the emulator: no
# browser runs its scripts, or takes another type for one.
_AS_DATA = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
# The compression of a small body takes more time than it saves.
_COMPRESS_FROM_BYTES = 2048


def headers_of(answer: Answer) -> dict[str, str]:
    """Returns the headers of an answer, except those of its transfer."""
    headers = {"X-RateLimit-Limit": RATE_LIMIT, **_AS_DATA, **answer.headers}
    if answer.status != 204:
        headers["Content-Type"] = answer.content_type
    return headers


async def send(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Sends an answer."""
    headers = headers_of(answer)
    body = answer.body
    is_compressed = answer.may_compress and _wants_gzip(request) and _is_worth_it(answer)
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    if isinstance(body, bytes):
        if is_compressed:
            # Level 1, because on loopback speed matters more than size.
            body = zlib.compress(body, 1, 16 + zlib.MAX_WBITS)
        return web.Response(status=answer.status, body=body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    if answer.length is not None and not is_compressed:
        response.content_length = answer.length
    # A peer that disconnects early ends the stream, and so does the end of the emulator.
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in _compressed(body) if is_compressed else each(body):
                await response.write(chunk)
        await response.write_eof()
    return response


async def _compressed(chunks: Chunks) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    async for chunk in each(chunks):
        compressed = compressor.compress(chunk)
        if compressed:
            yield compressed
    yield compressor.flush()


def _wants_gzip(request: web.BaseRequest) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def _is_worth_it(answer: Answer) -> bool:
    return not isinstance(answer.body, bytes) or len(answer.body) >= _COMPRESS_FROM_BYTES
