"""
Works on a batch together with other processes.

The ledger decides: a job is taken and its intent recorded in one transaction, within the limits
that all processes share. This module keeps the scheduler in step with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import anyio
from anyio.abc import TaskGroup

from orchestrator.apify import ApifyClient
from orchestrator.errors import (
    BatchHeld,
    BudgetExhausted,
    LedgerAway,
    StoppedEarly,
    UsageError,
)
from orchestrator.event_log import LOG
from orchestrator.ledger import Ledger
from orchestrator.ledger.claims import MONEY, Finding, Refused
from orchestrator.ledger.records import WaitingJob
from orchestrator.ledger.shard_facts import Change as JobChange
from orchestrator.ledger.shard_facts import News
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import RunId
from orchestrator.model.states import JobStatus
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.shared_limits import Change, SharedLimits
from orchestrator.scheduler.shared_scheduler import SharedScheduler, halt_of
from orchestrator.scheduler.timings import Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerParts:
    """
    What `Peers` uses.

    Attributes:
        queued_of: a waiting job as this process queues it.
        chance: random numbers from 0 to 1.
        beat_secs: how often the other processes are asked.
        stuck_secs: for how long nothing may run before a batch without money is halted.
        source_secs: how long a process has to make jobs of the items of a job that it has settled;
            then the others try.
    """

    ledger: Ledger
    client: ApifyClient
    utc_now: Callable[[], datetime]
    queued_of: Callable[[WaitingJob], QueuedJob]
    queued_attempt: Callable[[Attempt], QueuedJob]
    chance: Callable[[], float]
    beat_secs: float
    timings: Timings
    stuck_secs: float
    source_secs: float


class Peers:
    """
    The other processes that work on the batch, as this one sees them.

    Attributes:
        all_settled: whether no job of the batch is left, and none is to be made of items.
    """

    def __init__(self, parts: PeerParts) -> None:
        self._parts = parts
        self._scheduler: SharedScheduler | None = None
        self._of_others: set[int] = set()
        self._own: set[int] = set()
        self._settled: set[int] = set()
        # The attempts for which jobs wait in the queue of this process, as far as it queued them.
        self._queued: dict[int, int] = {}
        # When other processes had settled jobs whose items are not jobs yet.
        self._sources: dict[int, float] = {}
        self._made_from = 0
        self._since = 0
        self._tasks: TaskGroup | None = None
        self._halt_is_known = False
        self._lacks_money = ""
        self._has_intended = False
        self._costs_hidden: set[RunId] = set()
        self._idle_since: float | None = None
        self.all_settled = False

    async def intend(self, queued: QueuedJob) -> Attempt | None:
        """Takes a job and records its intent; None when it is another's, or there is no room."""
        scheduler = self._scheduler
        assert scheduler is not None  # noqa: S101 - set before it starts
        if self._queued.get(queued.seq, queued.number) != queued.number:
            # Another process has begun this attempt meanwhile: the job is queued for a later one.
            self._note_no_start(scheduler, queued)
            return None
        self._queued.pop(queued.seq, None)
        refused: Attempt | Refused = Refused(limit=None)
        if queued.seq not in self._of_others:
            refused = await self._parts.ledger.intend(
                queued.seq,
                queued.number,
                self._parts.utc_now(),
                self._limits.share(queued.claim),
                platform_at=self._parts.client.platform_now(),
                caps_itself=queued.claim.caps_itself,
            )
        if isinstance(refused, Attempt):
            self._own.add(queued.seq)
            self._has_intended, self._lacks_money = True, ""
            return refused
        if refused.limit is None:
            self._note_no_start(scheduler, queued)
            # A job may be queued twice: freed by another process while it was still queued here.
            if queued.seq not in self._own:
                self._of_others.add(queued.seq)
            return None
        self._lacks_money = refused.reason if refused.limit == MONEY else ""
        timings = self._parts.timings
        pause_secs = timings.lack_of_money_secs if refused.limit == MONEY else timings.full_secs
        until = loop_time() + pause_secs * (0.5 + self._parts.chance())
        if refused.counts is not None:
            scheduler.count_with_others(*refused.counts)
        is_for_all = self._limits.note(refused, until)
        # After it: another process may be trying a job of the same target.
        self._note_no_start(scheduler, queued)
        scheduler.put_back(queued._replace(ready_at=queued.ready_at if is_for_all else until))
        return None

    def _note_no_start(self, scheduler: SharedScheduler, queued: QueuedJob) -> None:
        """Notes that a start was not intended, so that it takes nothing of `starts_per_minute`."""
        scheduler.usage.take_back_start(queued.claim)
        scheduler.feedback.no_run(queued)

    async def watch(self) -> None:
        """Keeps the scheduler in step with the other processes, until cancelled."""
        scheduler = self._scheduler
        assert scheduler is not None  # noqa: S101 - attached by now
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                await self._guarded(partial(self._beats, scheduler))
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def _beats(self, scheduler: SharedScheduler) -> None:
        while True:
            # The first one later: the scheduler begins meanwhile.
            await anyio.sleep(self._parts.beat_secs)
            await self._beat(scheduler)

    async def _guarded(self, perform: Callable[[], Awaitable[None]]) -> None:
        try:
            await perform()
        except (StoppedEarly, BatchHeld, UsageError, LedgerAway) as error:
            if self._scheduler is not None:
                self._scheduler.stop(error)

    def _spawn(self, perform: Callable[[], Awaitable[None]]) -> None:
        """Waits for what was handed in, beside the attempts."""
        if self._tasks is not None:
            self._tasks.start_soon(self._guarded, perform, name="peers")

    def attach(self, scheduler: SharedScheduler) -> None:
        """Names the scheduler, before it starts."""
        self._scheduler = scheduler
        self._limits = SharedLimits(scheduler.usage, scheduler.failures, self._share_finding)
        scheduler.use(self, self._of_others)

    def _share_finding(self, subject: str, change: Change) -> None:
        """Applies an event to what the ledger holds."""
        # Handed in now: what this process claims next comes after it.
        found = self._parts.ledger.find(subject, change)
        self._spawn(partial(self._learn_later, found))

    async def _learn_later(self, found: Awaitable[Finding]) -> None:
        self._limits.learn(await found)

    def halt(self, reason: StoppedEarly) -> None:
        """Halts the batch for all processes."""
        if not self._halt_is_known:
            self._halt_is_known = True
            halted = self._parts.ledger.halt(type(reason).__name__, str(reason))
            self._spawn(lambda: halted)

    async def begin(self) -> None:
        """Remembers where the changes begin that are not in what is read next."""
        self._since = (await self._parts.ledger.news(0)).since

    async def _beat(self, scheduler: SharedScheduler) -> None:
        ledger = self._parts.ledger
        for attempt in await ledger.steal():
            LOG.warning("attempt_stolen", job=attempt.job.key, state=attempt.state.value)
            queued = self._parts.queued_attempt(attempt)
            claim = queued.claim
            await ledger.set_claim(queued.seq, queued.number, claim.memory_mbytes, claim.pools)
            self._of_others.discard(queued.seq)
            self._own.add(queued.seq)
            scheduler.resume_stolen(attempt, queued)
        news = await self._hear(scheduler)
        await self._take_sources(scheduler)
        if news.halt_kind is not None and not self._halt_is_known:
            self._halt_is_known = True
            scheduler.halt_with_others(halt_of(news.halt_kind, news.halt_reason or ""))
        for found in news.findings:
            self._limits.learn(found)
        self._limits.divide(news)
        waits_for_costs = await self._free_money(scheduler) or scheduler.waits_for_costs
        is_moving = bool(news.runs or news.changes or self._has_intended or waits_for_costs)
        self._has_intended = False
        self._check_stuck(scheduler, is_moving=is_moving)
        scheduler.note_peers()

    def note_queued(self, queued: QueuedJob) -> None:
        """Notes that a job waits in the queue of this process."""
        self._queued[queued.seq] = queued.number

    async def _hear(self, scheduler: SharedScheduler) -> News:
        """Asks what the other processes have done, and follows it."""
        ledger, expander = self._parts.ledger, scheduler.expander
        known = expander.known
        made_from = self._made_from if ledger.batch.plan.sweeps else None
        news = await ledger.news(self._since, made_from)
        self._since = news.since
        self._made_from = max([self._made_from, *(one.first_seq for one in news.expansions)])
        # Before the changes: only then it is known which of those jobs can give items.
        for expansion in expander.learn(news.expansions):
            scheduler.grow(expansion)
        for expansion in news.expansions:
            scheduler.note_expansion(expansion)
        self._apply(news.changes, scheduler)
        # The jobs of an expansion that is new here may not be among what was read.
        is_expanding = bool(expander.open) or expander.known != known
        self.all_settled = not (news.has_work or is_expanding)
        return news

    async def _take_sources(self, scheduler: SharedScheduler) -> None:
        """Makes jobs of the items of jobs whose processes have left, or have not made them."""
        still_open = scheduler.expander.open
        self._sources = {seq: at for seq, at in self._sources.items() if seq in still_open}
        if not self._sources:
            return
        left = await self._parts.ledger.left_sources(list(self._sources))
        latest = loop_time() - self._parts.source_secs
        late = [seq for seq, settled_at in self._sources.items() if settled_at < latest]
        for seq in {*left, *late} & still_open.keys():
            del self._sources[seq]
            scheduler.expand_left(seq, still_open[seq])

    def _apply(self, changes: Sequence[JobChange], scheduler: SharedScheduler) -> None:
        for change in changes:
            if change.waiting is not None:
                self._of_others.discard(change.seq)
                queued = self._parts.queued_of(change.waiting)
                # A change may be listed twice, and so are the jobs that this process has made.
                if self._queued.get(queued.seq) != queued.number:
                    scheduler.put_back(queued)
                continue
            self._own.discard(change.seq)
            self._of_others.add(change.seq)
            self._queued.pop(change.seq, None)
            if change.status is not JobStatus.WAITING and change.seq not in self._settled:
                self._settled.add(change.seq)
                if scheduler.settled_elsewhere(change):
                    self._sources[change.seq] = loop_time()

    async def _free_money(self, scheduler: SharedScheduler) -> bool:
        """Asks for the costs of all runs if a job waits for money; returns whether any lack."""
        now = self._parts.client.platform_now()
        if not self._lacks_money or now is None:
            return False
        # Also of processes that have died, or that have no job left and wait for nothing. A known
        # cost is asked for again when its run was resurrected, or it was asked for too early.
        due = set(await self._parts.ledger.due_costs(now)) - self._costs_hidden
        scheduler.ask_costs(sorted(due), self._costs_hidden)
        return bool(due)

    def _check_stuck(self, scheduler: SharedScheduler, *, is_moving: bool) -> None:
        """Halts a batch whose jobs wait for what cannot come."""
        if is_moving or self.all_settled or not (self._lacks_money or scheduler.is_stuck):
            self._idle_since = None
            return
        now = loop_time()
        self._idle_since = self._idle_since or now
        if now - self._idle_since > self._parts.stuck_secs:
            why = scheduler.why_stuck()
            if self._lacks_money:
                why = BudgetExhausted(
                    f"the budget does not cover the next run: {self._lacks_money}"
                )
            scheduler.drain(why)
