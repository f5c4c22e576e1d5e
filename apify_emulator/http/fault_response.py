"""How an answer is sent when a fault applies to the request."""

from __future__ import annotations

import contextlib
import socket
import struct

import anyio
from aiohttp import web

from apify_emulator.faults import FaultKind, FaultRule
from apify_emulator.http.answers import Answer, refusal
from apify_emulator.http.chunks import Chunks, each, pieces
from apify_emulator.http.response import RATE_LIMIT, headers_of, send
from apify_emulator.refusals import ApiError

# With this option the kernel drops unsent data and resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)
_PAGE = (
    b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
    b"</center></body></html>"
)


async def send_with_fault(
    request: web.BaseRequest, answer: Answer, rule: FaultRule
) -> web.StreamResponse:
    """Sends an answer with a fault that happens after the effect of the request."""
    match rule.do:
        case FaultKind.ERROR_AFTER:
            return await send(request, _error(rule))
        case FaultKind.HTML_AFTER:
            return await send(request, _page(rule))
        case FaultKind.RESET_AFTER:
            return reset(request)
        case FaultKind.SLOW_HEADERS:
            await anyio.sleep(rule.secs)
            return await send(request, answer)
        case FaultKind.BAD_GZIP:
            headers = {**headers_of(answer), "Content-Encoding": "gzip"}
            return web.Response(status=answer.status, body=b"\x1f\x8bnot gzip", headers=headers)
        case FaultKind.GARBAGE:
            return web.Response(
                status=answer.status,
                body=rule.body.encode(),
                headers={"Content-Type": answer.content_type},
            )
        case FaultKind.TRUNCATED | FaultKind.STALL:
            return await _send_half(request, answer, rule)
        case _:
            return await send(request, answer)


def answer_instead(rule: FaultRule) -> Answer | None:
    """Returns the answer of a fault that happens before the effect; None for other faults."""
    match rule.do:
        case FaultKind.RATE_LIMITED:
            message = f"You have exceeded the rate limit of {RATE_LIMIT} requests per second"
            return refusal(ApiError(429, "rate-limit-exceeded", message))
        case FaultKind.ERROR_BEFORE:
            return _error(rule)
        case FaultKind.REFUSE:
            data = {"approvalUrl": rule.approval_url} if rule.approval_url else None
            return refusal(ApiError(rule.status, rule.type, rule.message, data=data))
        case FaultKind.HTML:
            return _page(rule)
        case _:
            return None


def reset(request: web.BaseRequest) -> web.Response:
    """Breaks the connection; the peer sees a reset."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response(status=500)


def _page(rule: FaultRule) -> Answer:
    return Answer(status=rule.status, body=_PAGE, content_type="text/html")


def _error(rule: FaultRule) -> Answer:
    return refusal(ApiError(rule.status, "internal-server-error", "An unexpected error occurred."))


async def _send_half(
    request: web.BaseRequest, answer: Answer, rule: FaultRule
) -> web.StreamResponse:
    whole = answer.body if isinstance(answer.body, bytes) else await _joined(answer.body)
    response = web.StreamResponse(status=answer.status, headers=headers_of(answer))
    # The whole length, so that the peer notices that half of the body is missing.
    response.content_length = len(whole)
    half = len(whole) // 2
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(whole[:half])
        if rule.do is FaultKind.TRUNCATED:
            if request.transport is not None:
                request.transport.close()
            return response
        await anyio.sleep(rule.secs)
        for piece in pieces(whole[half:]):
            await response.write(piece)
        await response.write_eof()
    return response


async def _joined(chunks: Chunks) -> bytes:
    return b"".join([chunk async for chunk in each(chunks)])
