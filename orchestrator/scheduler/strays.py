"""
Runs that turn up after their start was given up as never having happened.

Nobody waits for such a run any more, since its attempt was sent again or is lost, but it costs
money: it is aborted, recorded and told, and counts as nobody's attempt.
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


class Strays:
    """
    Deals with the late runs of one batch.

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
        Notes that the run of a send will belong to nobody.
        """
        self._given_up[mark] = since

    def is_new(self, mark: Mark, run_id: RunId) -> bool:
        """
        Whether a run of this mark is a stray that has not been dealt with.
        """
        return mark in self._given_up and run_id not in self._known

    async def end(self, mark: Mark, run: Run) -> None:
        """
        Records a stray run and aborts it; one that cannot be aborted now is tried at the next look.
        """
        self._known.add(run.id)
        await self._ledger.stray(mark, run, self._utc_now())
        if not run.is_terminal:
            try:
                status = (await self._client.abort_run(run.id)).facts().status
            except PlatformError as error:
                self._known.discard(run.id)
                self._observer.stray_found(mark, run, str(error))
                return
            run = replace(run, status=status)
            await self._ledger.stray(mark, run, self._utc_now())
        self._observer.stray_found(mark, run, None)
