"""
The one place where requests are sent and sent again.

Three kinds of request, by what a second send would do. One that is safe to repeat is repeated for
`away_secs`; where much depends on its answer, a refusal counts only when it is repeated too. A
start is sent again only when the platform said that it did nothing (429), or when nothing can have
reached it; all else but a refusal that proves the same leaves it unconfirmed, and all its sends lie
within `start_deadline_secs`, so that whoever looks for its run knows when to stop. A synchronous
start is sent once. Redirects are followed for the first kind only, and the token goes to no other
address.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import anyio

from orchestrator.apify.http.download import Opened
from orchestrator.apify.http.headers import http_date
from orchestrator.apify.http.transport import Request, Response, Transport
from orchestrator.apify.options import ClientOptions
from orchestrator.apify.policy.backoff import Backoff
from orchestrator.apify.policy.rate_limits import Lane, Pacer, Rate
from orchestrator.apify.policy.refusals import refusal
from orchestrator.errors import (
    PlatformError,
    RateLimited,
    RunFailed,
    ServerFault,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.event_log import LOG

T = TypeVar("T")

MAX_REDIRECTS = 5
URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=~"
"""What an address may hold as it is; the rest of a redirect's is encoded (RFC 3986, section 2)."""
REFUSAL_BYTES = 64 * 1024
REFUSAL_SECS = 10.0
"""How long the body of a refusal may take: one that never ends explains nothing."""
FOREVER = float("inf")
TICK_SECS = 0.05
"""Requests that wait for their rate limit go on at multiples of this."""

MOMENT_SECS = 0.01
CLOCK_SECS = 30.0
ASK_AGAIN_SECS = (2.0, 6.0, 13.0)
"""The pauses after which a refusal is asked for once more before it counts."""


@dataclass(slots=True)
class ClientStats:
    """
    What a client has sent so far.

    Attributes:
        requests: sent, repeats included.
        retries: how many of them were repeats.
        rate_limited: how many were answered by 429.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0


class Call(NamedTuple):
    """
    A request, and the limit that it counts against.

    Attributes:
        resource: what shares the limit.
        trusts: the refusals that count at once. The others count when the platform repeats them
            several times over 20 seconds: one odd answer would cost a run that was paid for.
    """

    request: Request
    resource: str
    rate: Rate = Rate.DEFAULT
    trusts: tuple[type[PlatformError], ...] = (PlatformError,)


class Repeats:
    """
    How often a request that is safe to repeat may still be.

    Attributes:
        backoff: the pauses after what may pass.
        doubts: the pauses after refusals.
    """

    __slots__ = ("backoff", "call", "doubts")

    def __init__(self, call: Call, backoff: Backoff) -> None:
        self.call = call
        self.backoff = backoff
        self.doubts = iter(ASK_AGAIN_SECS)


class Sender:
    """
    Sends requests through a transport.

    Args:
        now: the event loop's clock, in seconds.

    Attributes:
        stats: counted while sending.
        clock: what the platform's clock showed, and when that was by the loop's; None before the
            first answer. Read anew when it is older than CLOCK_SECS.
    """

    def __init__(
        self,
        transport: Transport,
        options: ClientOptions,
        *,
        rng: random.Random,
        now: Callable[[], float],
    ) -> None:
        self.stats = ClientStats()
        self.clock: tuple[datetime, float] | None = None
        self._read_clock_at = -FOREVER
        self._transport = transport
        self._options = options
        self._rng = rng
        self._now = now
        self._pacer = Pacer()

    async def ask(self, call: Call, read: Callable[[bytes], T]) -> T:
        """
        Sends a request that is safe to repeat, and reads its answer.

        Args:
            read: makes something of the body; raises ServerFault when it cannot.

        Raises:
            TransientError: it went on failing for `away_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        began = self._now()
        lane = self._pacer.lane(call.resource, call.rate, began)
        repeats = None
        while True:
            try:
                return read(await self._fetch(call.request, lane))
            except PlatformError as error:
                failure = error
            repeats = repeats or Repeats(call, Backoff(began + self._options.away_secs, self._rng))
            await self._repeat(failure, repeats, lane)

    async def open(self, call: Call, check: Callable[[Response], None] | None = None) -> Opened:
        """
        Sends a request that is safe to repeat, and leaves its body to be streamed.

        Args:
            check: raises ServerFault when the answer cannot be what was asked for.

        Raises:
            TransientError: no answer for `away_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        began = self._now()
        lane = self._pacer.lane(call.resource, call.rate, began)
        repeats = None
        while True:
            try:
                return await self._open(call.request, lane, follow=True, check=check)
            except PlatformError as error:
                failure = error
            repeats = repeats or Repeats(call, Backoff(began + self._options.away_secs, self._rng))
            await self._repeat(failure, repeats, lane)

    async def start(self, call: Call, read: Callable[[bytes], T]) -> T:
        """
        Sends a start, and reads its answer.

        Raises:
            StartUnconfirmed: it may have had its effect.
            RateLimited, ConnectionLost: it had none, and had none for `start_deadline_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        until = self._now() + self._options.start_deadline_secs
        lane = self._pacer.lane(call.resource, call.rate, self._now())
        backoff = None
        request = call.request
        while True:
            try:
                return read(await self._fetch(request, lane, follow=False, until=until))
            except PlatformError as error:
                if _may_have_started(error):
                    raise self._unconfirmed(error, lane, request) from error
                if not isinstance(error, TransientError):
                    raise
                failure = error
            backoff = backoff or Backoff(until, self._rng)
            await self._pause(failure, backoff, lane, request)

    async def start_and_hold(
        self, call: Call, wait_secs: float, check: Callable[[Response], None] | None = None
    ) -> Opened:
        """
        Sends a start whose answer comes when its run has ended; once.

        Args:
            wait_secs: how long the platform holds the request.
            check: raises ServerFault when the answer cannot be what was asked for.

        Raises:
            StartUnconfirmed: it may have had its effect; a run that took longer than the platform
                waits is one such case.
            RunFailed: it had its effect, and the run did not succeed.
            RateLimited, ConnectionLost: it had none.
            PermanentError, NoRoom: the platform refuses.
        """
        now = self._now()
        until = now + self._options.start_deadline_secs
        lane = self._pacer.lane(call.resource, call.rate, now)
        try:
            with anyio.fail_after(wait_secs + self._options.start_deadline_secs):
                return await self._open(call.request, lane, follow=False, until=until, check=check)
        except PlatformError as error:
            if isinstance(error, RunFailed):
                raise
            if _may_have_started(error):
                raise self._unconfirmed(error, lane, call.request) from error
            if isinstance(error, TransientError):
                self._refused(error, lane)
            raise
        except TimeoutError as error:
            place = urlsplit(call.request.url).path
            raise StartUnconfirmed(
                "the start was not answered in time; its run may go on",
                method=call.request.method,
                path=place,
            ) from error

    async def _fetch(
        self, request: Request, lane: Lane, *, follow: bool = True, until: float = FOREVER
    ) -> bytes:
        """One exchange with an answer that is read whole."""
        exchange, response = await self._open(request, lane, follow=follow, until=until)
        try:
            return await response.read(self._options.max_answer_bytes)
        finally:
            await exchange.__aexit__(None, None, None)

    async def _open(
        self,
        request: Request,
        lane: Lane,
        *,
        follow: bool,
        until: float = FOREVER,
        check: Callable[[Response], None] | None = None,
    ) -> Opened:
        """One exchange, and for those that follow redirects its redirects, up to a 2xx answer."""
        host = urlsplit(request.url).netloc
        for _ in range(MAX_REDIRECTS + 1):
            now = self._now()
            wait = self._pacer.reserve(lane, now, until - now)
            if wait == 0.0:
                wait = self._pacer.reserve_for_account(now)
            elif wait is not None:
                await anyio.sleep(wait)
                wait = self._pacer.reserve_for_account(self._now())
            if wait != 0.0 or until != FOREVER:
                request = await self._wait_for_turn(request, wait, until)
            self.stats.requests += 1
            exchange = self._transport.send(request)
            response = await exchange.__aenter__()
            if now >= self._read_clock_at:
                self._read_clock(response)
            if response.status < HTTPStatus.MULTIPLE_CHOICES:
                await _checked(exchange, response, check)
                return exchange, response
            if response.status == HTTPStatus.TOO_MANY_REQUESTS:
                lane.learn(response.headers.get("X-RateLimit-Limit", ""))
            try:
                target = _redirected(request, response) if follow else None
                if target is None:
                    raise await self._refusal(request, response, host)
            finally:
                await exchange.__aexit__(None, None, None)
            request = target
        raise ServerFault(
            "the platform redirects in circles",
            method=request.method,
            path=urlsplit(request.url).path,
        )

    def _read_clock(self, response: Response) -> None:
        """Takes note of the platform's time (RFC 9110, `Date`: whole seconds)."""
        told = http_date(response.headers.get("Date"))
        if told is not None:
            now = self._now()
            self.clock = told, now
            self._read_clock_at = now + CLOCK_SECS

    async def _wait_for_turn(self, request: Request, wait: float | None, until: float) -> Request:
        """
        Waits until the rate limits allow a request; returns it, its deadlines cut to `until`.

        Args:
            wait: None when that would not be in time.
        """
        if wait is None:
            held_back = RateLimited(
                "not sent: more requests wait for this resource than its rate limit lets through "
                "in time",
                method=request.method,
                path=urlsplit(request.url).path,
            )
            held_back.had_no_effect = True
            raise held_back
        if wait > 0.0:
            # Those who wait go on together, at the next tick: what follows then comes in bundles,
            # which costs far less than one wake-up for each.
            now = self._now()
            await anyio.sleep(math.ceil((now + wait) / TICK_SECS) * TICK_SECS - now)
        deadlines = request.deadlines
        elapsed = self._now() - (until - self._options.start_deadline_secs)
        if deadlines.whole is None or elapsed < MOMENT_SECS:
            return request
        # The wait that the platform was asked for is not part of the start's own deadline.
        whole = max(deadlines.whole - elapsed, MOMENT_SECS)
        return request._replace(
            deadlines=deadlines._replace(connect=min(deadlines.connect, whole), whole=whole)
        )

    async def _repeat(self, error: PlatformError, repeats: Repeats, lane: Lane) -> None:
        """Pauses before a request is sent again; raises the error when it is time to give up."""
        if isinstance(error, TransientError):
            await self._pause(error, repeats.backoff, lane, repeats.call.request)
            return
        is_trusted = isinstance(error, repeats.call.trusts)
        secs = None if is_trusted else next(repeats.doubts, None)
        if secs is None:
            raise error
        self._tell_repeat(error, repeats.call.request, secs, LOG.warning)
        await anyio.sleep(secs)

    async def _pause(
        self, error: TransientError, backoff: Backoff, lane: Lane, request: Request
    ) -> None:
        asked = self._refused(error, lane)
        secs = backoff.pause(self._now(), asked)
        if secs is None:
            raise error
        self._tell_repeat(error, request, secs, LOG.debug if backoff.repeats == 1 else LOG.warning)
        await anyio.sleep(secs)

    def _tell_repeat(
        self, error: PlatformError, request: Request, secs: float, tell: Callable[..., None]
    ) -> None:
        self.stats.retries += 1
        tell(
            "request_repeated",
            method=request.method,
            path=urlsplit(request.url).path,
            error=str(error),
            pause_secs=round(secs, 3),
        )

    def _unconfirmed(self, error: PlatformError, lane: Lane, request: Request) -> StartUnconfirmed:
        """The error for a start that failed like this, and takes note of a 429."""
        self._refused(error, lane)
        return StartUnconfirmed(
            f"the start may have taken effect, but its answer was lost: {error.message}",
            method=request.method,
            path=urlsplit(request.url).path,
            status=error.status,
            error_type=error.error_type,
        )

    def _refused(self, error: PlatformError, lane: Lane) -> float:
        """Takes note of a 429; returns how long the platform asked to wait."""
        asked = error.retry_after_secs if isinstance(error, TransientError) else None
        if isinstance(error, RateLimited) and error.status is not None:
            self.stats.rate_limited += 1
            lane.refused(self._now(), asked or 0.0)
        return asked or 0.0

    async def _refusal(self, request: Request, response: Response, host: str) -> PlatformError:
        """
        The error for an answer that is no success.

        Args:
            host: that the request was for; another one answers where the platform has redirected.
        """
        return refusal(
            is_elsewhere=urlsplit(request.url).netloc != host,
            method=request.method,
            path=urlsplit(request.url).path,
            status=response.status,
            headers=response.headers,
            body=await _beginning(response),
            quote_page=request.body is None,
        )


def _may_have_started(error: PlatformError) -> bool:
    """Whether a start that failed like this may have had its effect."""
    return not error.had_no_effect


async def _checked(
    exchange: AbstractAsyncContextManager[Response],
    response: Response,
    check: Callable[[Response], None] | None,
) -> None:
    """Closes an exchange whose answer cannot be what was asked for."""
    if check is None:
        return
    try:
        check(response)
    except BaseException as error:
        await exchange.__aexit__(type(error), error, error.__traceback__)
        raise


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


def _redirected(request: Request, response: Response) -> Request | None:
    """The request that an answer redirects to; None when it does not, or must not be followed."""
    location = response.headers.get("Location")
    if (
        request.method not in {"GET", "HEAD"}
        or response.status >= HTTPStatus.BAD_REQUEST
        or response.status == HTTPStatus.NOT_MODIFIED
        or not location
    ):
        return None
    try:
        url = quote(urljoin(request.url, location), safe=URL_CHARACTERS)
        here, there = urlsplit(request.url), urlsplit(url)
        is_address = bool(there.hostname) and there.port != 0
    except ValueError:
        # A host or a port that is none.
        return None
    if not is_address or there.scheme not in {"http", "https"}:
        return None
    if (here.scheme, there.scheme) == ("https", "http"):
        return None
    headers = request.headers
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        headers = {
            name: value for name, value in headers.items() if name.lower() != "authorization"
        }
    return request._replace(url=url, headers=headers)
