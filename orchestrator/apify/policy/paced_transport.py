"""
One exchange: waits for the rate limits, sends once, follows redirects, turns refusals into errors.

What is sent again, and what a lost answer means, is decided in `sender`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio

from orchestrator.apify.http.download import Opened
from orchestrator.apify.http.transport import Request, Response, Transport
from orchestrator.apify.options import ClientOptions
from orchestrator.apify.policy.platform_clock import PlatformClock
from orchestrator.apify.policy.rate_limits import Lane, Pacer
from orchestrator.apify.policy.redirects import MAX_REDIRECTS, redirected
from orchestrator.apify.policy.refusals import refusal
from orchestrator.errors import PlatformError, RateLimited, ServerFault, TransientError

REFUSAL_BYTES = 64 * 1024
REFUSAL_SECS = 10.0
"""How long the body of a refusal may take: one that never ends explains nothing."""
FOREVER = float("inf")
TICK_SECS = 0.05
"""Requests that wait for their rate limit are sent at multiples of this."""

# The shortest deadline that is set: aiohttp takes 0 for no deadline.
MOMENT_SECS = 0.01

# As numbers: to read a member of the enumeration takes a call.
FIRST_REDIRECT = int(HTTPStatus.MULTIPLE_CHOICES)
TOO_MANY_REQUESTS = int(HTTPStatus.TOO_MANY_REQUESTS)

Check = Callable[[Response], None]
"""Raises ServerFault when an answer cannot be what was asked for."""


@dataclass(slots=True)
class ClientStats:
    """
    What a client has sent so far.

    Attributes:
        requests: sent, repeats included.
        retries: how many of them were repeats.
        rate_limited: how many were answered by 429.
        answers: how many were answered, by HTTP status; the others had no answer.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    answers: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))


class PacedTransport:
    """
    A transport that keeps the platform's rate limits.

    Args:
        now: the event loop's clock, in seconds.

    Attributes:
        stats: counts `requests`; whoever repeats counts the rest.
        clock: the platform's.
        pacer: has the flow of requests to each resource.
    """

    def __init__(
        self, transport: Transport, options: ClientOptions, *, now: Callable[[], float]
    ) -> None:
        self.stats = ClientStats()
        self.clock = PlatformClock()
        self._transport = transport
        self._options = options
        self._now = now
        self.pacer = Pacer()

    async def fetch(
        self, request: Request, lane: Lane, *, follow: bool = True, until: float = FOREVER
    ) -> bytes:
        """One exchange with an answer that is read whole."""
        exchange, response = await self.open(request, lane, follow=follow, until=until)
        try:
            return await response.read(self._options.max_answer_bytes)
        finally:
            await exchange.__aexit__(None, None, None)

    async def open(
        self,
        request: Request,
        lane: Lane,
        *,
        follow: bool = True,
        until: float = FOREVER,
        check: Check | None = None,
    ) -> Opened:
        """
        One exchange with an answer whose body is left to be read.

        Args:
            follow: whether redirects are followed.
            until: when the answer must have begun, by the loop's clock.

        Raises:
            PlatformError: there is no 2xx answer; `RateLimited` with `had_no_effect` when the rate
                limits leave no time to send it.
        """
        first = request
        for _ in range(MAX_REDIRECTS + 1):
            request = await self._wait_for_turn(request, lane, until)
            self.stats.requests += 1
            exchange = self._transport.send(request)
            response = await exchange.__aenter__()
            self.stats.answers[response.status] += 1
            now = self._now()
            # Not for each answer: a reading stays good for a while, and parsing a date takes time.
            if now >= self.clock.renew_at:
                self.clock.read(response.headers, now)
            if response.status < FIRST_REDIRECT:
                if check is not None:
                    await _checked(exchange, response, check)
                return exchange, response
            if response.status == TOO_MANY_REQUESTS:
                lane.learn(response.headers.get("X-RateLimit-Limit", ""))
            request = await self._redirect(request, (exchange, response), first, follow=follow)
        raise ServerFault(
            "the platform redirects in circles",
            method=request.method,
            path=urlsplit(request.url).path,
        )

    async def _redirect(
        self, request: Request, opened: Opened, first: Request, *, follow: bool
    ) -> Request:
        """
        The request that an answer redirects to; closes the exchange.

        Args:
            first: what was sent first.

        Raises:
            PlatformError: the answer is a refusal.
        """
        exchange, response = opened
        try:
            target = redirected(request, response) if follow else None
            if target is None:
                raise await _refusal(request, response, first)
        finally:
            await exchange.__aexit__(None, None, None)
        return target

    async def _wait_for_turn(self, request: Request, lane: Lane, until: float) -> Request:
        """
        Waits until the rate limits allow a request; returns it, its deadlines cut to `until`.

        Raises:
            RateLimited: that would not be in time.
        """
        now = self._now()
        wait = lane.reserve(now, until - now)
        if wait is None:
            raise _not_sent(
                request,
                "more requests wait for this resource than its rate limit lets through in time",
            )
        if wait > 0.0:
            await anyio.sleep(wait)
            now = self._now()
        wait = self.pacer.account.reserve(now) or 0.0
        if wait > 0.0:
            # Requests that wait are sent together, at the next tick: what follows then arrives in
            # groups, which costs far less than one wake-up for each.
            await anyio.sleep(math.ceil((now + wait) / TICK_SECS) * TICK_SECS - now)
            now = self._now()
        if now >= until:
            # The process was paused: another one may have searched for its run meanwhile.
            raise _not_sent(request, "its deadline passed while it waited for its turn")
        deadlines = request.deadlines
        if until == FOREVER or deadlines.whole is None:
            return request
        # The wait for a turn counts too: else a late start could act after its search has begun.
        elapsed = now - (until - self._options.start_deadline_secs)
        if elapsed < MOMENT_SECS:
            return request
        # The wait that the platform was asked for is not part of the start's own deadline.
        whole = max(deadlines.whole - elapsed, MOMENT_SECS)
        return request._replace(
            deadlines=deadlines._replace(connect=min(deadlines.connect, whole), whole=whole)
        )


def _not_sent(request: Request, reason: str) -> RateLimited:
    path = urlsplit(request.url).path
    error = RateLimited(f"not sent: {reason}", method=request.method, path=path)
    error.had_no_effect = True
    return error


async def _checked(
    exchange: AbstractAsyncContextManager[Response], response: Response, check: Check
) -> None:
    """Closes an exchange whose answer cannot be what was asked for."""
    try:
        check(response)
    except BaseException as error:
        await exchange.__aexit__(type(error), error, error.__traceback__)
        raise


async def _refusal(request: Request, response: Response, first: Request) -> PlatformError:
    """
    The error for an answer that is not a success.

    Args:
        first: what was sent first; another server answers where the platform has redirected.
    """
    parts = urlsplit(request.url)
    has_lost_token = "Authorization" in first.headers.keys() - request.headers.keys()
    return refusal(
        is_elsewhere=parts.netloc != urlsplit(first.url).netloc,
        asked_without_token=f"{parts.scheme}://{parts.netloc}" if has_lost_token else None,
        method=request.method,
        path=parts.path,
        status=response.status,
        headers=response.headers,
        body=await _beginning(response),
        quote_page=request.body is None,
    )


async def _beginning(response: Response) -> bytes:
    """As much of a refusal's body as is worth reading; also of one that breaks off."""
    body = bytearray()
    try:
        with anyio.move_on_after(REFUSAL_SECS):
            async for chunk in response.chunks():
                body += chunk
                if len(body) > REFUSAL_BYTES:
                    break
    except TransientError:
        # The status is known; what is missing of the body would only have explained it.
        pass
    return bytes(body[:REFUSAL_BYTES])
