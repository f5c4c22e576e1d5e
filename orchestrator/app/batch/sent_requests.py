"""Counts in the ledger of a batch what this process sends to the platform."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from orchestrator.apify import ApifyClient, ClientStats
from orchestrator.ledger import Ledger


class SentRequests:
    """
    Adds the requests of a client to the counts of a batch, each once.

    Only one task at a time may call it.
    """

    def __init__(self, client: ApifyClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger
        self._counted = ClientStats()

    async def record(self) -> None:
        """
        Adds what was sent since the last call.

        Raises:
            OrchestratorError: the ledger cannot be written; the next call adds it.
        """
        stats, counted = self._client.stats, self._counted
        if stats.requests == counted.requests:
            return
        answers = Counter(stats.answers)
        answers.subtract(counted.answers)
        # Before the wait: what was handed in is written, also if this task is cancelled.
        self._counted = replace(stats, answers=stats.answers.copy())
        try:
            await self._ledger.add_requests(
                stats.requests - counted.requests, stats.retries - counted.retries, +answers
            )
        except Exception:
            self._counted = counted
            raise
