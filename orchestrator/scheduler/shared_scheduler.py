"""The scheduler of one of several processes that work on a batch, as `peers` steers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator import errors
from orchestrator.errors import BatchAborted, DeadlinePassed, StoppedEarly, TooManyFailures
from orchestrator.ledger.shard_facts import Change as JobChange
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt
from orchestrator.model.ids import RunId
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.states import JobStatus
from orchestrator.scheduler import housekeeping
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.parts import Expands

if TYPE_CHECKING:
    from orchestrator.scheduler.peers import Peers


class SharedScheduler(Scheduler):
    """The scheduler of one of several processes that work on a batch."""

    def use(self, peers: Peers, gone: set[int]) -> None:
        """
        Names the other processes, before `run`.

        Args:
            gone: the jobs that are theirs, from now on.
        """
        self._peers = peers
        self._asks_costs = False
        self._queue.gone = gone
        self._stops.failures.is_shared = True

    @property
    def failures(self) -> FailureCount:
        """What `stop_after_failures` says."""
        return self._stops.failures

    def drain(self, reason: StoppedEarly) -> None:
        """Starts nothing more, in any of the processes."""
        super().drain(reason)
        self._peers.halt(reason)

    def count_with_others(self, failed: int, over: int) -> None:
        """Stops the batch because of the jobs that have failed in all processes."""
        why = self._stops.failures.judge(failed, over)
        if why is not None:
            self.drain(TooManyFailures(why))

    @property
    def jobs_wait(self) -> bool:
        """Whether jobs of the batch wait for a start, by any process."""
        return not self._peers.all_settled

    @property
    def waits_for_costs(self) -> bool:
        """Whether jobs of this process wait for costs that will be final."""
        return self._costs.is_awaited

    def ask_costs(self, run_ids: Sequence[RunId], hidden: set[RunId]) -> None:
        """
        Replaces what is reserved for these runs by their costs.

        Args:
            hidden: gets the runs whose costs the platform hides.
        """
        if run_ids and not self._asks_costs and self._stop_reason is None:
            self._asks_costs = True
            self._spawn(self._ask_costs_of(run_ids, hidden), name="costs of all")

    async def _ask_costs_of(self, run_ids: Sequence[RunId], hidden: set[RunId]) -> None:
        try:
            costs = await housekeeping.final_costs(self._parts, run_ids)
            hidden.update(run_id for run_id, cost in costs.items() if cost is None)
        finally:
            self._asks_costs = False

    @property
    def is_stuck(self) -> bool:
        """Whether this process has jobs and can begin none of them."""
        is_idle = self._tasks is not None and not self._tasks.alive
        has_jobs = len(self._queue) + len(self._dependencies) > 0
        is_waiting = bool(self.expander.open) or self._next_wake() < float("inf")
        return is_idle and has_jobs and not is_waiting

    @property
    def expander(self) -> Expands:
        """Makes jobs of items."""
        return self._parts.expander

    def put_back(self, queued: QueuedJob) -> None:
        """Queues a job that is free again, or that another process has made."""
        self._peers.note_queued(queued)
        self._queue.add(queued, loop_time())
        self._changed.set()

    def grow(self, expansion: Expansion) -> None:
        """Counts the jobs that another process has made."""
        self._parts.observer.jobs_added(None, expansion)
        for _ in range(expansion.jobs):
            self._stops.failures.grow()

    def expand_left(self, seq: int, key: str) -> None:
        """Makes jobs of the items of a job that another process has settled."""
        self._expand([(seq, key)])

    def resume_stolen(self, attempt: Attempt, queued: QueuedJob) -> None:
        """Resumes an attempt of a process that has died."""
        if self._stop_reason is None:
            self._resume(attempt, queued)

    def settled_elsewhere(self, change: JobChange) -> bool:
        """Notes that another process has settled a job; returns whether its items become jobs."""
        self._apply(self._dependencies.settled(change.seq, change.status))
        has_succeeded = change.status is JobStatus.SUCCEEDED
        return has_succeeded and self.expander.needs(change.seq, change.key)

    def halt_with_others(self, reason: StoppedEarly) -> None:
        """Starts nothing more, because another process has halted the batch."""
        self.drain(reason)
        if isinstance(reason, DeadlinePassed | BatchAborted):
            self._parts.follower.abort_runs(str(reason))

    def note_peers(self) -> None:
        """Looks again whether anything may begin or end."""
        self._changed.set()

    def _enqueue(self, queued: QueuedJob) -> None:
        self._peers.note_queued(queued)
        super()._enqueue(queued)

    def _is_at_rest(self) -> bool:
        is_at_rest = super()._is_at_rest()
        if self._stop_reason is not None or self._drain_reason is not None:
            return is_at_rest
        is_busy = self._tasks is not None and self._tasks.alive > 0
        return self._peers.all_settled and not is_busy and not self._downloads.pending


def halt_of(kind: str, reason: str) -> StoppedEarly:
    """The error by which another process has halted the batch."""
    found = getattr(errors, kind, StoppedEarly)
    is_one = isinstance(found, type) and issubclass(found, StoppedEarly)
    return (found if is_one else StoppedEarly)(reason)
