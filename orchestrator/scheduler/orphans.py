"""
Orphan runs: runs of this batch that belong to none of its attempts.

The start of such a run was given up before the platform showed it, or another process that works
on a copy of the ledger sent it. It costs money: it is aborted, recorded and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from orchestrator.client import ApifyClient
from orchestrator.errors import PlatformError
from orchestrator.ledger import Ledger
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.runs import Run
from orchestrator.scheduler.observing import Observer


class Orphans:
    """
    Ends and records the orphan runs of one batch.

    Args:
        given_up: the marks of sends that an earlier process gave up, and since when their runs may
            have been going.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: ApifyClient,
        observer: Observer,
        given_up: Mapping[Mark, datetime],
        utc_now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._observer = observer
        self._given_up = dict(given_up)
        self._utc_now = utc_now
        self._known: set[RunId] = set()

    @property
    def since(self) -> datetime | None:
        """
        When the first of the sends was that have been given up; None when none was.
        """
        return min(self._given_up.values(), default=None)

    def give_up(self, mark: Mark, since: datetime) -> None:
        """
        Notes that the run of a send will be an orphan.
        """
        self._given_up[mark] = since

    def is_new(self, mark: Mark, run_id: RunId) -> bool:
        """
        Whether a run of this mark is an orphan that has not been dealt with.
        """
        return mark in self._given_up and run_id not in self._known

    async def end(self, mark: Mark, run: Run) -> None:
        """
        Records an orphan run and aborts it; the next look tries again when that fails.
        """
        self._known.add(run.id)
        now = self._client.platform_now() or self._utc_now()
        await self._ledger.orphan(mark, run, now)
        if not run.is_terminal:
            try:
                status = (await self._client.abort_run(run.id)).facts().status
            except PlatformError as error:
                self._known.discard(run.id)
                self._observer.orphan_found(mark, run, str(error))
                return
            run = replace(run, status=status)
            await self._ledger.orphan(mark, run, now)
        self._observer.orphan_found(mark, run, None)
