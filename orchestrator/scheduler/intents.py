"""Records the intents of a process that works on a batch alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from orchestrator.apify import ApifyClient
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt
from orchestrator.scheduler.decide.lane import QueuedJob


class Intends(Protocol):
    """Records the intent of an attempt."""

    async def intend(self, queued: QueuedJob) -> Attempt | None:
        """The attempt; None when it is not to be made now, and what follows has been done."""
        ...


class Intents:
    """
    Records intents.

    Args:
        utc_now: the wall clock.
    """

    def __init__(
        self, ledger: Ledger, client: ApifyClient, utc_now: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._utc_now = utc_now

    async def intend(self, queued: QueuedJob) -> Attempt:
        """Records the intent, with what is reserved for the run."""
        claim = queued.claim
        return await self._ledger.record_intent(
            queued.seq,
            queued.number,
            self._utc_now(),
            platform_at=self._client.platform_now(),
            reserved_usd=claim.reserve_usd or None,
            caps_itself=claim.caps_itself,
        )
