"""Makes jobs of the items of other jobs, while a batch runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from orchestrator.app.account.account_limits import Room
from orchestrator.app.batch.absent_results import AbsentResults
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.queued_jobs import queued_jobs
from orchestrator.app.batch.reuse import reuse_results
from orchestrator.errors import PlatformError, StoppedEarly, TooManyJobs
from orchestrator.ledger.expansion_facts import Place, TakeNew
from orchestrator.model.ids import JobKey
from orchestrator.model.item_sweeps import Expansion, ItemSweep, Sources
from orchestrator.model.jobs import Job
from orchestrator.model.selection import EVERYTHING
from orchestrator.model.shard import Shard
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.parts import TakesJobs
from orchestrator.system_errors import refuse_exhaustion

if TYPE_CHECKING:
    from orchestrator.specfile.items import ItemJobs

AT_ONCE = 1000
"""How many new jobs are read from the ledger before other tasks have their turn."""


class ItemExpander:
    """
    Makes the jobs of the sweeps of a batch whose rows are items.

    A failed source costs no other one: its rows are made when it has succeeded after a retry.

    Args:
        absent: downloads items that another machine has collected.
        may_reuse: whether new jobs may take the results of earlier batches.
        shard: which of several processes this one is; None if it works alone.

    Attributes:
        refused: why items of some job could not become jobs.
    """

    def __init__(
        self,
        batch: OpenBatch,
        room: Room,
        observer: Observer,
        utc_now: Callable[[], datetime],
        *,
        absent: AbsentResults,
        may_reuse: bool,
        shard: Shard | None = None,
    ) -> None:
        self.refused: StoppedEarly | None = None
        self._batch = batch
        self._absent = absent
        self._shard = shard
        self._open: dict[int, str] = {}
        self._room = room
        self._observer = observer
        self._utc_now = utc_now
        self._may_reuse = may_reuse
        self._plan = batch.ledger.batch.plan
        self._sources = Sources(self._plan.sweeps, batch.reader.expansions())
        self._makers: dict[str, ItemJobs] = {}

    @property
    def open(self) -> Mapping[int, str]:
        """See `Expands.open`."""
        return self._open

    @property
    def known(self) -> int:
        """See `Expands.known`."""
        return len(self._sources)

    def pending(self) -> Sequence[tuple[int, str]]:
        """Place and key of the jobs that have succeeded before, and whose items are still rows."""
        found = self._batch.reader.unexpanded()
        # Read after them: then what has made these jobs is known.
        self.learn(self._batch.reader.expansions())
        return [(seq, key) for seq, key in found if self.needs(seq, key)]

    def needs(self, seq: int, key: str) -> bool:
        """Whether jobs are to be made of the items of a job; it is open from then on."""
        if not self._sources.waiting(seq, key):
            return False
        self._open[seq] = key
        return True

    def learn(self, expansions: Iterable[Expansion]) -> list[Expansion]:
        """Notes expansions that are recorded; returns those that are new."""
        new = [one for one in expansions if self._sources.add(one)]
        for one in new:
            key = self._open.get(one.source)
            if key is not None and not self._sources.waiting(one.source, key):
                del self._open[one.source]
        return new

    def made(self, expansion: Expansion) -> Iterable[tuple[int, str, JobStatus]]:
        """See `Expands.made`."""
        first = expansion.first_seq
        return self._batch.reader.statuses(range(first, first + expansion.jobs))

    async def expand(self, seq: int, key: str, into: TakesJobs) -> None:
        """
        Makes the jobs of a source, and gives each that waits for a start to `into`.

        The jobs of a source are written in one transaction together with the fact that they are:
        a crash before it makes none of them, and after it all of them are in the ledger.
        """
        todo: list[tuple[int, str]] = [(seq, key)]
        while todo:
            seq, key = todo.pop()
            for sweep in self._sources.waiting(seq, key):
                expansion = await self._expand(sweep, seq, key)
                if expansion is not None:
                    self._sources.add(expansion)
                    self._observer.jobs_added(key, expansion)
                    todo += await self._queue(sweep, expansion, into)
            # Also when it cannot be expanded: this process does not try again.
            self._open.pop(seq, None)

    async def _expand(self, sweep: ItemSweep, seq: int, key: str) -> Expansion | None:
        """Writes the jobs of a source; None when it cannot, or another process has."""
        try:
            await self._absent.ensure(JobKey(key))
            return await self._batch.ledger.expand(
                sweep.name,
                seq,
                partial(self._make, sweep, key),
                most_jobs=self._plan.max_jobs,
                limit=self._plan.choice.limit,
                holds=self._shard is not None and self._may_take_results(sweep),
            )
        except TooManyJobs as error:
            self.refused = TooManyJobs(
                f"{key}: {error}; raise max_jobs and resume with --accept-changes"
            )
        except PlatformError as error:
            if not error.costs_its_job:
                raise
            self._observer.items_not_read(key, str(error))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                refuse_exhaustion(error)
            self._observer.items_not_read(key, str(error))
        return None

    def _may_take_results(self, sweep: ItemSweep) -> bool:
        """Whether jobs of a sweep may take the results of earlier batches."""
        return sweep.has_reuse and self._may_reuse

    def _make(
        self, sweep: ItemSweep, key: str, take_new: TakeNew, place: Place
    ) -> Iterator[Job | str]:
        """The chosen jobs of a source; runs in the thread of the ledger."""
        # Imported with the first source: it imports all that reads a spec.
        from orchestrator.app.batch.item_rows import item_jobs, jobs_of_items

        maker = self._makers.get(sweep.name)
        if maker is None:
            is_local = self._plan.local is not None
            maker = item_jobs(sweep, self._batch.folder, is_local=is_local)
            self._makers[sweep.name] = maker
        made = jobs_of_items(maker, self._batch.folder, key, take_new, place)
        if self._plan.choice == EVERYTHING:
            return made
        is_chosen = self._plan.choice.test()
        return (job for job in made if isinstance(job, str) or is_chosen(job))

    async def _queue(
        self, sweep: ItemSweep, expansion: Expansion, into: TakesJobs
    ) -> list[tuple[int, JobKey]]:
        """Hands on the new jobs that wait for a start; returns those that have results already."""
        batch, end = self._batch, expansion.first_seq + expansion.jobs
        reused: list[tuple[int, JobKey]] = []
        if self._may_take_results(sweep) and expansion.jobs:
            places, at = range(expansion.first_seq, end), self._utc_now()
            await reuse_results(batch.ledger, batch.folder, at, places, shard=self._shard)
            new = batch.reader.statuses(places)
            reused = [(seq, key) for seq, key, status in new if status is JobStatus.SUCCEEDED]
            self._observer.jobs_reused([key for _, key in reused])
            if self._shard is not None:
                await batch.ledger.free_added(expansion)
        into.note_expansion(expansion, [seq for seq, _ in reused])
        for first in range(expansion.first_seq, end, AT_ONCE):
            waiting = batch.reader.waiting(range(first, min(first + AT_ONCE, end)))
            now = batch.client.platform_now()
            for job in list(queued_jobs(waiting, self._room, platform_now=now, shard=self._shard)):
                if job.claim.target is not None:
                    self._observer.job_queued(job.seq, job.claim.target)
                into.add_new(job)
            await checkpoint()
        return reused
