"""
The one place where requests are sent and sent again.

There are three kinds of request, by what a second send would do:

1. One that is safe to repeat is repeated for `away_secs`. Where much depends on its answer, a
   refusal counts only when the platform repeats it.
2. A start is sent again only after a 429, or when nothing can have reached the platform. A refusal
   that proves the same ends it; everything else leaves it unconfirmed. All its sends lie within
   `start_deadline_secs`, so that the search for its run knows when to stop.
3. A synchronous start is sent once.

Redirects are followed for the first kind only.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import anyio

from orchestrator.apify.http.download import Opened
from orchestrator.apify.http.transport import Request
from orchestrator.apify.options import ClientOptions
from orchestrator.apify.policy.paced_transport import Check, PacedTransport
from orchestrator.apify.policy.rate_limits import Lane, Rate
from orchestrator.apify.policy.request_backoff import Backoff
from orchestrator.errors import (
    ActorRefused,
    Conflict,
    InputRejected,
    NotFound,
    PlanLimitReached,
    PlatformError,
    RateLimited,
    RunFailed,
    StartUnconfirmed,
    TransientError,
)
from orchestrator.event_log import LOG

T = TypeVar("T")

ALL_REFUSALS: tuple[type[PlatformError], ...] = (PlatformError,)
# Without NotAuthorized: it concerns every job, so one odd answer must not prove it.
ALL_BUT_TOKEN_REFUSALS = (ActorRefused, InputRejected, NotFound, PlanLimitReached)
NO_REFUSALS: tuple[type[PlatformError], ...] = ()

HELD_SECS = 2.0
"""An answer that was lost sooner was hardly lost because the platform held it."""


class Call(NamedTuple):
    """
    A request, and the limit that it counts against.

    Attributes:
        resource: what shares the limit.
        final: the refusals that count at once. The others count when the platform repeats them
            after each of `refusal_pauses_secs`: one odd answer could cost a run that was paid for.
        after_hold: of a request whose answer the platform holds, how it is repeated, by how many
            seconds passed until its answer was lost. None for the same request.
    """

    request: Request
    resource: str
    rate: Rate = Rate.DEFAULT
    final: tuple[type[PlatformError], ...] = ALL_REFUSALS
    after_hold: Callable[[float], Request] | None = None


class Repeats:
    """
    How often a request that is safe to repeat may still be sent.

    Attributes:
        backoff: the pauses after errors that may pass.
        refusal_pauses: the pauses after refusals.
    """

    __slots__ = ("backoff", "call", "refusal_pauses")

    def __init__(self, call: Call, backoff: Backoff, refusal_pauses: tuple[float, ...]) -> None:
        self.call = call
        self.backoff = backoff
        self.refusal_pauses = iter(refusal_pauses)


class Sender:
    """
    Sends requests, and sends them again.

    Args:
        transport: sends each request once; its `stats` count the repeats too.
        rng: where the jitter of pauses comes from.
        now: the event loop's clock, in seconds.
    """

    def __init__(
        self,
        transport: PacedTransport,
        options: ClientOptions,
        *,
        rng: random.Random,
        now: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._options = options
        self._rng = rng
        self._now = now

    async def ask(self, call: Call, read: Callable[[bytes], T]) -> T:
        """
        Sends a request that is safe to repeat, and reads its answer.

        Args:
            read: converts the body; raises ServerFault when it cannot.

        Raises:
            TransientError: it failed for `away_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        began = self._now()
        lane = self._transport.pacer.lane(call.resource, call.rate, began)
        repeats, request = None, call.request
        while True:
            sent_at = self._now()
            try:
                return read(await self._transport.fetch(request, lane))
            except PlatformError as error:
                failure = error
            # Outside the `except` clause: else a later error would have this one as its context.
            held_secs = self._now() - sent_at
            if call.after_hold is not None and held_secs >= HELD_SECS:
                request = call.after_hold(held_secs)
            repeats = repeats or self._repeats(call, began)
            await self._repeat(failure, repeats, lane)

    async def open(self, call: Call, check: Check | None = None) -> Opened:
        """
        Sends a request that is safe to repeat, and leaves its body to be streamed.

        Raises:
            TransientError: no answer for `away_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        began = self._now()
        lane = self._transport.pacer.lane(call.resource, call.rate, began)
        repeats = None
        while True:
            try:
                return await self._transport.open(call.request, lane, check=check)
            except PlatformError as error:
                failure = error
            repeats = repeats or self._repeats(call, began)
            await self._repeat(failure, repeats, lane)

    async def start(self, call: Call, read: Callable[[bytes], T]) -> T:
        """
        Sends a start, and reads its answer.

        Raises:
            StartUnconfirmed: it may have had its effect.
            RateLimited, ConnectionLost, Conflict: it had none for `start_deadline_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        began = self._now()
        until = began + self._options.start_deadline_secs
        lane = self._transport.pacer.lane(call.resource, call.rate, began)
        backoff = failure = None
        request = call.request
        while True:
            try:
                return read(await self._transport.fetch(request, lane, follow=False, until=until))
            except PlatformError as error:
                if _may_have_started(error):
                    self._raise_unconfirmed(error, lane, request)
                # A start of an Actor that is being changed costs nothing, so it is tried again.
                if not isinstance(error, (TransientError, Conflict)):
                    raise
                if failure is not None and _was_held_back(error):
                    # Why the time was not enough says more than that it was not.
                    raise failure from None
                failure = error
            backoff = backoff or Backoff(until, self._rng)
            await self._pause(failure, backoff, lane, request)

    async def start_and_hold(self, call: Call, check: Check | None = None) -> Opened:
        """
        Sends a start whose answer arrives when its run has ended; again only after a conflict.

        Raises:
            StartUnconfirmed: it may have had its effect; a run that takes longer than
                `sync_wait_secs` is one such case.
            RunFailed: it had its effect, and the run did not succeed.
            RateLimited, ConnectionLost: it had none.
            Conflict: it had none for `start_deadline_secs`.
            PermanentError, NoRoom: the platform refuses.
        """
        options, request = self._options, call.request
        began = self._now()
        until = began + options.start_deadline_secs
        lane = self._transport.pacer.lane(call.resource, call.rate, began)
        try:
            # Also limits the waits for a turn and for a connection, which `first_byte` does not.
            with anyio.fail_after(options.sync_wait_secs + options.start_deadline_secs):
                return await self._open_start(call, lane, until, check)
        except PlatformError as error:
            # Four cases: the run failed (its effect is certain, so this comes first), the effect is
            # unclear, the start may be tried again by the caller, or it is refused.
            if isinstance(error, RunFailed):
                raise
            if _may_have_started(error):
                self._raise_unconfirmed(error, lane, request)
            if isinstance(error, TransientError):
                self._note_refusal(error, lane)
            raise
        except TimeoutError as error:
            raise StartUnconfirmed(
                "the start was not answered in time; its run may continue",
                method=request.method,
                path=urlsplit(request.url).path,
            ) from error

    async def _open_start(
        self, call: Call, lane: Lane, until: float, check: Check | None
    ) -> Opened:
        """Sends a start whose answer is streamed, and sends it again after a conflict."""
        backoff = Backoff(until, self._rng)
        while True:
            try:
                return await self._transport.open(
                    call.request, lane, follow=False, until=until, check=check
                )
            except Conflict as error:
                conflict = error
            await self._pause(conflict, backoff, lane, call.request)

    def _repeats(self, call: Call, began: float) -> Repeats:
        backoff = Backoff(began + self._options.away_secs, self._rng)
        return Repeats(call, backoff, self._options.refusal_pauses_secs)

    async def _repeat(self, error: PlatformError, repeats: Repeats, lane: Lane) -> None:
        """Pauses before a request is sent again; raises the error when it is time to give up."""
        if isinstance(error, TransientError):
            await self._pause(error, repeats.backoff, lane, repeats.call.request)
            return
        is_final = isinstance(error, repeats.call.final)
        secs = None if is_final else next(repeats.refusal_pauses, None)
        if secs is None:
            raise error
        self._log_repeat(error, repeats.call.request, secs, LOG.warning)
        await anyio.sleep(secs)

    async def _pause(
        self, error: PlatformError, backoff: Backoff, lane: Lane, request: Request
    ) -> None:
        asked = self._note_refusal(error, lane)
        secs = backoff.pause(self._now(), asked)
        if secs is None:
            raise error
        # One failure is common and passes; only the second one in a row deserves a warning.
        log = LOG.debug if backoff.repeats == 1 else LOG.warning
        self._log_repeat(error, request, secs, log)
        await anyio.sleep(secs)

    def _log_repeat(
        self, error: PlatformError, request: Request, secs: float, log: Callable[..., None]
    ) -> None:
        self._transport.stats.retries += 1
        log(
            "request_repeated",
            method=request.method,
            path=urlsplit(request.url).path,
            error=str(error),
            pause_secs=round(secs, 3),
        )

    def _raise_unconfirmed(self, error: PlatformError, lane: Lane, request: Request) -> NoReturn:
        """Raises the error for a start that failed like this, and takes note of a 429."""
        self._note_refusal(error, lane)
        raise StartUnconfirmed(
            f"the start may have taken effect, but its answer was lost: {error.message}",
            method=request.method,
            path=urlsplit(request.url).path,
            status=error.status,
            error_type=error.error_type,
        ) from error

    def _note_refusal(self, error: PlatformError, lane: Lane) -> float:
        """Slows the resource down after a 429; returns how long the platform asked to wait."""
        asked = (error.retry_after_secs if isinstance(error, TransientError) else None) or 0.0
        if isinstance(error, RateLimited) and not _was_held_back(error):
            self._transport.stats.rate_limited += 1
            lane.refused(self._now(), asked)
        return asked


def _may_have_started(error: PlatformError) -> bool:
    """Whether a start that failed like this may have had its effect."""
    return not error.had_no_effect


def _was_held_back(error: PlatformError) -> bool:
    """Whether the pacer did not let a request be sent: the platform refused nothing."""
    return isinstance(error, RateLimited) and error.status is None
