"""The client: one sender, and the endpoints that are asked through it."""

from __future__ import annotations

import random
from datetime import datetime
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from orchestrator.apify.account_endpoints import AccountEndpoints
from orchestrator.apify.actor_endpoints import ActorEndpoints
from orchestrator.apify.http.transport import Transport
from orchestrator.apify.http.transport_choice import real_transport
from orchestrator.apify.options import ClientOptions, chosen_options
from orchestrator.apify.policy.paced_transport import ClientStats, PacedTransport
from orchestrator.apify.policy.platform_clock import Reading
from orchestrator.apify.policy.sender import Sender
from orchestrator.apify.request_builder import RequestBuilder
from orchestrator.apify.run_endpoints import RunEndpoints
from orchestrator.apify.storage_endpoints import StorageEndpoints
from orchestrator.loop_clock import running_clock
from orchestrator.safe_text import SECRETS, SHORTEST_TOKEN


class ApifyClient:
    """
    A client of the Apify API, or of anything that speaks it; an async context manager.

    All methods may be called from many tasks at once. Each raises `PlatformError`s, which carry
    method, path, status and Apify's error type: a `TransientError` after repeating for `away_secs`
    what may be repeated, a `PermanentError` or `NoRoom` at once.

    Args:
        options: where and how; None for the ones below and the defaults.
        token: None for `APIFY_TOKEN`, or else the token that `apify login` saved.
        base_url: None for `APIFY_API_BASE_URL`, or else Apify's own.
        transport: what carries requests; real HTTP when None.
        rng: where the jitter of pauses comes from.

    Attributes:
        runs: starts runs, follows them, aborts them.
        storages: reads datasets and key-value stores.
        actors: reads Actors, tasks and builds.
        account: reads the account behind the token, its limits and its usage.

    Raises:
        ConfigError: there is no token, or it is not valid.

    Cancellation: a cancelled call leaves the client usable. What a start has done by then is
    unknown.
    """

    runs: RunEndpoints
    storages: StorageEndpoints
    actors: ActorEndpoints
    account: AccountEndpoints

    def __init__(
        self,
        options: ClientOptions | None = None,
        *,
        token: str | SecretStr | None = None,
        base_url: str | None = None,
        transport: Transport | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options = chosen_options(options, token=token, base_url=base_url)
        # Before the first request: the error of that one may already quote the token.
        if options.token is not None:
            SECRETS.add(options.token.get_secret_value(), shortest=SHORTEST_TOKEN)
        self._requests = RequestBuilder(options)
        self._transport = transport or real_transport(self._requests.root)
        # Jitter needs no cryptographic randomness.
        self._rng = rng or random.Random()  # noqa: S311

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        self._now = now = running_clock()
        self._paced = PacedTransport(self._transport, self._options, now=now)
        sender = Sender(self._paced, self._options, rng=self._rng, now=now)
        self.runs = RunEndpoints(self._requests, sender, max_polls=self._options.max_polls)
        self.storages = StorageEndpoints(self._requests, sender)
        self.actors = ActorEndpoints(self._requests, sender)
        self.account = AccountEndpoints(self._requests, sender)
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
        return self._requests.root

    @property
    def stats(self) -> ClientStats:
        """What was sent so far."""
        return self._paced.stats

    @property
    def clock(self) -> Reading | None:
        """The latest reading of the platform's clock; None before any answer."""
        return self._paced.clock.reading

    def set_clock(self, reading: Reading | None) -> None:
        """Takes over what another client of this process has read, unless this one has its own."""
        self._paced.clock.reading = self._paced.clock.reading or reading

    def platform_now(self) -> datetime | None:
        """The platform's time, or up to two seconds earlier; None before any answer."""
        return self._paced.clock.time(self._now())
