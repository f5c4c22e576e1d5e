"""What all of the client's methods need: one place to send through, and requests put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar, cast

import anyio
from anyio import to_thread
from anyio.lowlevel import current_token

from orchestrator.apify import endpoints
from orchestrator.apify.http.download import Opening
from orchestrator.apify.http.encodings import ACCEPTED, compress
from orchestrator.apify.http.transport import Deadlines, Request, Response, Transport
from orchestrator.apify.http.transport_choice import real_transport
from orchestrator.apify.options import ClientOptions, root_of
from orchestrator.apify.policy.paced_transport import ClientStats, PacedTransport
from orchestrator.apify.policy.rate_limits import Rate
from orchestrator.apify.policy.sender import ALL_REFUSALS, NO_REFUSALS, Call, Sender
from orchestrator.errors import PlatformError
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN

T = TypeVar("T")

COMPRESS_ELSEWHERE_BYTES = 128 * 1024


class Requester:
    """The part of a client that makes requests; see `ApifyClient`."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        transport: Transport | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options
        if options.token is not None:
            SECRETS.add(options.token.get_secret_value(), shortest=SHORTEST_TOKEN)
        self._root = root_of(options.base_url)
        self._transport = transport or real_transport(self._root)
        # Jitter needs no cryptographic randomness.
        self._rng = rng or random.Random()  # noqa: S311
        self._headers = _headers(options, "identity")
        self._wide_headers = _headers(options, ACCEPTED)
        self._small = Deadlines(
            connect=options.connect_timeout_secs,
            first_byte=options.first_byte_timeout_secs,
            silence=options.silence_timeout_secs,
            whole=options.whole_timeout_secs,
        )
        self._streamed = self._small._replace(whole=None)
        self._polls = {
            secs: self._small._replace(
                first_byte=options.first_byte_timeout_secs + secs,
                whole=options.whole_timeout_secs + secs,
            )
            for secs in range(1, endpoints.MAX_WAIT_SECS + 1)
        } | {0: self._small}
        self._starts = {
            secs: self._small._replace(first_byte=whole, whole=whole)
            for secs in self._polls
            for whole in (options.start_deadline_secs + secs,)
        }
        self._turns: AbstractAsyncContextManager[object] = (
            nullcontext() if options.max_polls is None else anyio.Semaphore(options.max_polls)
        )
        self._held = self._streamed._replace(
            first_byte=options.sync_wait_secs + options.start_deadline_secs
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        # The loop's own clock: anyio.current_time() looks the loop up again on each call.
        clock = getattr(current_token().native_token, "time", anyio.current_time)
        now = cast("Callable[[], float]", clock)
        self._paced = PacedTransport(self._transport, self._options, now=now)
        self._sender = Sender(self._paced, self._options, rng=self._rng, now=now)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    @property
    def base_url(self) -> str:
        """The platform's address, without `/v2`."""
        return self._root

    @property
    def clock(self) -> tuple[datetime, float] | None:
        """
        What the platform's clock showed, and when that was by the loop's; None before any answer.
        """
        return self._paced.clock.reading

    def platform_now(self) -> datetime | None:
        """
        What the platform's clock shows now, or up to two seconds earlier; None before any answer.
        """
        return self._paced.clock.time(anyio.current_time())

    def know_clock(self, clock: tuple[datetime, float] | None) -> None:
        """Takes over what another client of this process has learnt of the platform's clock."""
        self._paced.clock.reading = self._paced.clock.reading or clock

    @property
    def stats(self) -> ClientStats:
        """What was sent so far."""
        return self._paced.stats

    async def _get(
        self,
        path: str,
        query: str,
        read: Callable[[bytes], T],
        headers: Mapping[str, str] | None = None,
        *,
        final: tuple[type[PlatformError], ...] = ALL_REFUSALS,
    ) -> T:
        request = Request(
            "GET", f"{self._root}{path}{query}", headers or self._headers, self._small
        )
        return await self._sender.ask(Call(request, path, final=final), read)

    def _stream(
        self,
        path: str,
        query: str,
        resource: str,
        *,
        rate: Rate = Rate.DEFAULT,
        deadlines: Deadlines | None = None,
        check: Callable[[Response], None] | None = None,
        final: tuple[type[PlatformError], ...] = NO_REFUSALS,
    ) -> Opening:
        request = Request(
            "GET", f"{self._root}{path}{query}", self._wide_headers, deadlines or self._streamed
        )
        call = Call(request, resource, rate, final)
        return Opening(lambda: self._sender.open(call, check))

    async def _packed(
        self, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> tuple[dict[str, str], bytes]:
        """A body and its headers, compressed where that helps."""
        complete = {**headers, "Content-Type": content_type}
        if len(body) > COMPRESS_ELSEWHERE_BYTES:
            packed = await to_thread.run_sync(compress, body)
        else:
            packed = compress(body)
        if packed is None:
            return complete, body
        complete["Content-Encoding"] = "gzip"
        return complete, packed


def _headers(options: ClientOptions, accepted: str) -> dict[str, str]:
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": accepted,
        "User-Agent": options.user_agent,
    }
    if options.token is not None:
        headers["Authorization"] = f"Bearer {options.token.get_secret_value()}"
    return headers
