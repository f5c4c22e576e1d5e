"""
Orphan runs: runs of this batch that belong to none of its attempts.

1. The start of such a run was given up before the platform showed it.
2. Or no intent of the ledger has its mark: the folder was restored from a backup, or another
   process works on a copy of it. Its run is spare: the attempt that its mark names takes it,
   instead of a start, if that attempt has no run; see `spares`.

An orphan run costs money: it is aborted, recorded and reported. When runs of the second kind begin
again and again after this process took over, another process is at work, and the batch stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.errors import PlatformError, SecondCopy
from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt, place_of
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.spares import Spare, Spares
from orchestrator.scheduler.observer import Observer

MOST_OF_OTHERS = 2
"""
So many runs that began after the take-over, with marks that are not of this process, are too many.
"""


class Orphans:
    """
    Ends and records the orphan runs of one batch.

    Args:
        given_up: the marks of sends that an earlier process gave up, and from when on their runs
            are listed.

    Attributes:
        budget: takes what they cost; None without one, and before it is known.
        took_over_at: the platform's time when this process took the batch over; None when it made
            the batch.
        spares: the runs that attempts may take.
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
        self.budget: Budget | None = None
        self.took_over_at: datetime | None = None
        self.spares = Spares()
        self._known: set[RunId] = set()
        self._met: list[tuple[Mark, Run]] = []
        self._of_others: set[RunId] = set()
        self._ours = re.compile(rf"{re.escape(ledger.batch.mark)}\.[0-9a-z]+\.[0-9]+\.[0-9]+[a-z]*")

    @property
    def has_given_up(self) -> bool:
        """Whether the start of some run was given up."""
        return bool(self._given_up)

    @property
    def since(self) -> datetime | None:
        """
        From when on runs are listed that may be orphans, by the platform's clock; None when none.
        """
        return min(self._given_up.values(), default=self.took_over_at)

    def give_up(self, mark: Mark, since: datetime) -> None:
        """Notes that the run of a send will be an orphan."""
        self._given_up[mark] = since

    def met(self, mark: Mark, run: Run) -> None:
        """Notes a run that a list shows, and that no attempt is known to have."""
        if run.id not in self._known and self._ours.fullmatch(mark):
            self._met.append((mark, run))

    async def end_met(self) -> None:
        """
        Deals with the runs that were met.

        Raises:
            SecondCopy: another process is at work on a copy of the batch.
        """
        met, self._met = self._met, []
        unknown = [mark for mark, _ in met if mark not in self._given_up]
        # The list was read first, the ledger after it: the mark of a start on its way is there.
        sent = await self._ledger.sent(unknown) if unknown else set()
        for mark, run in met:
            if mark in self._given_up:
                await self.end(mark, run)
            elif mark not in sent:
                await self._keep(mark, run)

    async def adopt_spares(self) -> list[Run]:
        """Writes the attempts that take the runs of another process; those that come later wait."""
        adopted = []
        for place, spare in self.spares.in_order():
            if await self._ledger.adopt(spare.mark, spare.run):
                self.spares.take(place)
                adopted.append(spare.run)
        return adopted

    async def end_spare(self, attempt: Attempt) -> None:
        """Ends the run that another process started for an attempt that has its own."""
        await self._end_spare(self.spares.take((attempt.job.seq, attempt.number)))

    def spare_of(self, attempt: Attempt) -> Run | None:
        """A run that another process started for this attempt; it is given out once."""
        spare = self.spares.take((attempt.job.seq, attempt.number))
        if spare is None:
            return None
        self.spares.release(spare)
        return spare.run

    async def end_spares(self, seq: int | None = None) -> None:
        """
        Ends the runs that no attempt needs any more.

        Args:
            seq: of which job; None for all jobs.
        """
        for place, _ in self.spares.in_order():
            if seq is None or place[0] == seq:
                await self._end_spare(self.spares.take(place))

    async def end(self, mark: Mark, run: Run) -> None:
        """Records an orphan run and aborts it; the next look tries again when that fails."""
        self._known.add(run.id)
        now = self._client.platform_now() or self._utc_now()
        reserved = await self._ledger.orphan(mark, run, now)
        if self.budget is not None:
            self.budget.orphan(run.id, reserved, run.cost_usd, anyio.current_time())
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

    async def _end_spare(self, spare: Spare | None) -> None:
        if spare is not None:
            await self.end(spare.mark, spare.run)
            self.spares.release(spare)

    async def _keep(self, mark: Mark, run: Run) -> None:
        """Keeps a run of another process for its attempt, unless that has one."""
        is_late = self.took_over_at is not None and run.started_at > self.took_over_at
        if is_late and not mark.endswith(self._ledger.word):
            self._of_others.add(run.id)
            if len(self._of_others) >= MOST_OF_OTHERS:
                raise SecondCopy(
                    f"{len(self._of_others)} runs of this batch began since this process took it "
                    f"over, and it did not start them (the last one is {run.id}): another process "
                    "works on a copy of this folder. End that process, then resume one of the two"
                )
        place = place_of(mark)
        demand = None if place in self.spares else await self._ledger.demand_of_spare(*place)
        if demand is None:
            await self.end(mark, run)
        else:
            self._known.add(run.id)
            self.spares.add(place, mark, run, demand)
