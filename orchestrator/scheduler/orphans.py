"""
Orphan runs: runs of this batch that belong to none of its attempts.

1. The start of the run was given up before the platform showed it.
2. Or no intent in the ledger has its mark: the folder was restored from a backup, or another
   process works on a copy of it. The run is adoptable: if the attempt that its mark names has no
   run, it adopts this one instead of a start; see `decide.adoptable_runs`.

An orphan run costs money: it is aborted, recorded and reported. When several runs of the second
kind begin after this process took over, another process is active, and the batch stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from orchestrator.apify import ApifyClient
from orchestrator.errors import PlatformError, SecondCopy
from orchestrator.ledger import Ledger
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt, place_of
from orchestrator.model.ids import Mark, RunId
from orchestrator.model.runs import Run
from orchestrator.scheduler.decide.adoptable_runs import AdoptableRun, AdoptableRuns
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.observer import Observer

# One alone may be a start that was in flight at the take-over.
MOST_OF_OTHERS = 2
"""
The batch stops at this many runs that began after the take-over with marks of another process.
"""


class Orphans:
    """
    Aborts and records the orphan runs of one batch.

    Args:
        given_up: the marks of sends that an earlier process gave up, and when their runs may have
            begun.

    Attributes:
        budget: counts their costs; None without one, and before it is known.
        took_over_at: the platform's time when this process took the batch over; None when it
            created the batch.
        adoptable: the runs that attempts may take.
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
        self.adoptable = AdoptableRuns()
        self._known: set[RunId] = set()
        self._noted: list[tuple[Mark, Run]] = []
        self._of_others: set[RunId] = set()
        self._ours = re.compile(rf"{re.escape(ledger.batch.mark)}\.[0-9a-z]+\.[0-9]+\.[0-9]+[a-z]*")

    @property
    def has_given_up(self) -> bool:
        """Whether some start was given up."""
        return bool(self._given_up)

    @property
    def since(self) -> datetime | None:
        """The earliest start of a possible orphan run, by the platform's clock; None for none."""
        return min(self._given_up.values(), default=self.took_over_at)

    def give_up(self, mark: Mark, since: datetime) -> None:
        """Notes that the run of a send is an orphan, if there is one."""
        self._given_up[mark] = since

    def note(self, mark: Mark, run: Run) -> None:
        """Notes a run that a list shows, and that belongs to no known attempt."""
        if run.id not in self._known and self._ours.fullmatch(mark):
            self._noted.append((mark, run))

    async def end_noted(self) -> None:
        """
        Aborts the runs that were noted, or keeps them for their attempts.

        Raises:
            SecondCopy: another process works on a copy of the batch.
        """
        noted, self._noted = self._noted, []
        unknown = [mark for mark, _ in noted if mark not in self._given_up]
        # The list was read before the ledger, so the ledger has the mark of each start in flight.
        sent = await self._ledger.sent(unknown) if unknown else set()
        for mark, run in noted:
            if mark in self._given_up:
                await self.end(mark, run)
            elif mark not in sent:
                await self._keep(mark, run)

    async def adopt_runs(self) -> list[Run]:
        """Records the attempts that adopt runs now; runs of later attempts stay adoptable."""
        adopted = []
        for place, found in self.adoptable.in_order():
            if await self._ledger.adopt(found.mark, found.run):
                self.adoptable.take(place)
                adopted.append(found.run)
        return adopted

    async def end_rival_of(self, attempt: Attempt) -> None:
        """Aborts the run that another process started for an attempt that has its own."""
        await self._end_adoptable(self.adoptable.take((attempt.job.seq, attempt.number)))

    def adoptable_run_of(self, attempt: Attempt) -> Run | None:
        """The run that another process started for this attempt; it is returned once."""
        found = self.adoptable.take((attempt.job.seq, attempt.number))
        if found is None:
            return None
        self.adoptable.release(found)
        return found.run

    async def end_adoptable(self, seq: int | None = None) -> None:
        """
        Aborts the adoptable runs that no attempt has adopted.

        Args:
            seq: of which job; None for all jobs.
        """
        for place, _ in self.adoptable.in_order():
            if seq is None or place[0] == seq:
                await self._end_adoptable(self.adoptable.take(place))

    async def end(self, mark: Mark, run: Run) -> None:
        """Records an orphan run and aborts it; when that fails, the next pass tries again."""
        # Before the awaits: a list that is read meanwhile must not note the run again.
        self._known.add(run.id)
        now = self._client.platform_now() or self._utc_now()
        # Recorded before the abort: its cost counts even if the process is killed in between.
        reserved = await self._ledger.record_orphan(mark, run, now)
        if self.budget is not None:
            self.budget.orphan(run.id, reserved, run.cost_usd, loop_time())
        if not run.is_terminal:
            try:
                status = (await self._client.runs.abort(run.id)).facts().status
            except PlatformError as error:
                self._known.discard(run.id)
                self._observer.orphan_found(mark, run, str(error))
                return
            run = run._replace(status=status)
            await self._ledger.record_orphan(mark, run, now)
        self._observer.orphan_found(mark, run, None)

    async def _end_adoptable(self, found: AdoptableRun | None) -> None:
        if found is not None:
            await self.end(found.mark, found.run)
            self.adoptable.release(found)

    async def _keep(self, mark: Mark, run: Run) -> None:
        """Keeps a run of another process for its attempt, unless the attempt has one."""
        is_late = self.took_over_at is not None and run.started_at > self.took_over_at
        # A run with this process's own word does not show that another process is active.
        if is_late and not mark.endswith(self._ledger.word):
            self._of_others.add(run.id)
            if len(self._of_others) >= MOST_OF_OTHERS:
                raise SecondCopy(
                    f"{len(self._of_others)} runs of this batch began since this process took it "
                    f"over, and it did not start them (the last one is {run.id}): another process "
                    "works on a copy of this folder. End that process, then resume one of the two"
                )
        place = place_of(mark)
        demand = None if place in self.adoptable else await self._ledger.demand_of_adoptable(*place)
        if demand is None:
            await self.end(mark, run)
        else:
            self._known.add(run.id)
            self.adoptable.add(place, mark, run, demand)
