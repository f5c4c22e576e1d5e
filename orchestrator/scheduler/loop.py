"""
The scheduler: decides which job starts when, and owns the tasks of a batch.

Each slot has a task. A slot is free when its run has ended, before its results are downloaded. A
download begins when the platform has counted the items of the run. Downloads have a limit of their
own, and a run that waits for one has no task.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

import anyio

from orchestrator.errors import DeadlinePassed, OrchestratorError, StoppedEarly, TooManyFailures
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt, Outcome, Place
from orchestrator.model.item_sweeps import Expansion
from orchestrator.model.jobs import Job, Target
from orchestrator.model.progress import Wait
from orchestrator.model.rules import Remedy
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler import housekeeping
from orchestrator.scheduler.attempt import AttemptLife, Schedule
from orchestrator.scheduler.decide.adoptable_runs import AdoptableRun
from orchestrator.scheduler.decide.dependencies import Consequences, Dependencies
from orchestrator.scheduler.decide.feedback import Feedback
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.retries import Verdict
from orchestrator.scheduler.decide.stops import StopRules, why_stuck
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.downloads import Downloads
from orchestrator.scheduler.final_costs import FinalCosts
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.resends import Resends
from orchestrator.scheduler.task_group import BatchTasks

NEEDS_REASON = "waits for the jobs that it needs"
COUNTING_REASON = "ended; the platform counts their items (counts_settle_secs)"

NewLife = Callable[[Parts, Schedule, QueuedJob, Attempt | None], AttemptLife]


class Scheduler:
    """
    Decides which jobs of one batch start when, until all are settled.

    Args:
        queue: with the jobs that wait for a start.
        usage: of the limits, with no claim of this process.
        dependencies: the jobs that wait for others; None where none does.
        stops: what ends the batch early; None where nothing does.
        new_life: makes the life of an attempt.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        queue: JobQueue,
        usage: Usage,
        dependencies: Dependencies | None = None,
        stops: StopRules | None = None,
        new_life: NewLife = AttemptLife,
    ) -> None:
        self.usage = usage
        self.feedback = Feedback(usage, queue, parts.chance)
        self._parts = parts
        self._queue = queue
        self._dependencies = dependencies or Dependencies()
        self._stops = stops or StopRules()
        self._new_life = new_life
        self._adoptable = parts.finder.orphans.adoptable
        self._resends = Resends(usage)
        self._downloads = Downloads(parts.max_downloads, self._admit)
        self._costs = FinalCosts(parts, usage, queue)
        self._targets_held = 0
        self._has_aborted = False
        self._changed, self._wakes_at = anyio.Event(), math.inf
        usage.gate.changed = lambda: self._changed.set()
        self._stop_reason: OrchestratorError | None = None
        self._drain_reason: StoppedEarly | None = None
        self._tasks: BatchTasks | None = None

    async def run(self, open_attempts: Iterable[tuple[Attempt, QueuedJob]] = ()) -> None:
        """
        Returns when every job is settled.

        Args:
            open_attempts: those of an earlier process, each with its place in the queue.

        Raises:
            OrchestratorError: the reason given to `stop` or `drain`, after all tasks have ended;
                the ledger then holds all that is known.
        """
        async with anyio.create_task_group() as group:
            tasks = self._tasks = BatchTasks(group, self.stop, lambda: self._changed.set())
            if (deadline_secs := self._stops.deadline_secs) is not None:
                tasks.spawn_beside(self._keep_deadline(deadline_secs), name="deadline")
            tasks.spawn_beside(self._parts.finder.watch_for_copies(), name="copies")
            self._apply(self._dependencies.begin())
            self._expand(self._parts.expander.pending())
            # Attempts of an earlier process take their slots before any new job is admitted.
            for attempt, queued in open_attempts:
                self._resume(attempt, queued)
            self._adoptable.added = self._note_adoptable
            for place, found in self._adoptable.in_order():
                self._note_adoptable(place, found)
            await self._rest()
            if self._stop_reason is None:
                # At the end, because a run whose start was given up may appear in the lists late.
                self._spawn(housekeeping.end_orphans(self._parts), name="orphans")
                await self._rest()
            tasks.cancel()
        if self._stop_reason is not None:
            raise self._stop_reason
        if self._drain_reason is not None and (self.jobs_wait or self._has_aborted):
            raise self._drain_reason
        if self.jobs_wait or self._parts.expander.refused is not None:
            raise self.why_stuck()

    def stop(self, reason: OrchestratorError) -> None:
        """
        Starts nothing more and ends soon; runs on the platform continue.

        Waits for runs end at once. Starts in flight and active downloads get a grace period,
        because their answers are useful. A second call changes nothing.
        """
        if self._stop_reason is not None:
            return
        self._stop_reason = reason
        self._downloads.stop()
        self._parts.follower.give_up_waits()
        if self._tasks is not None:
            self._tasks.spawn_beside(self._cancel_after_grace(self._tasks), name="stop-grace")
        self._changed.set()

    def drain(self, reason: StoppedEarly) -> None:
        """
        Starts nothing more, and ends when all runs have ended and are collected.

        `run` raises the first reason, if jobs still wait.
        """
        self._drain_reason = self._drain_reason or reason
        self._changed.set()

    def set_limits(self, limits: Limits) -> None:
        """Replaces the limits; what is in use already stays."""
        if limits != self.usage.limits:
            self.usage.limits = limits
            self._changed.set()

    @property
    def jobs_wait(self) -> bool:
        """Whether jobs still wait for a start."""
        return len(self._queue) + len(self._dependencies) > 0

    def why_stuck(self) -> StoppedEarly:
        """Why the jobs of this process wait for what cannot come."""
        stuck = why_stuck(self.waits_for(), lacks_money=self._queue.lacks_money)
        return self._parts.expander.refused or stuck

    @property
    def stopping(self) -> str:
        """Why nothing more is started; empty while jobs are started."""
        return str(self._stop_reason or self._drain_reason or "")

    def waits(self) -> list[Wait]:
        """Why jobs of each kind wait."""
        waits, held = self._queue.waits(), self._why_held
        return [replace(wait, reason=held) for wait in waits] if held else waits

    def waits_for(self) -> dict[str, int]:
        """Why jobs wait, with the number of jobs that each reason holds."""
        held = self._why_held
        reasons = {held: len(self._queue)} if held else self._queue.reasons()
        others = {NEEDS_REASON: len(self._dependencies), COUNTING_REASON: self._downloads.pending}
        return {reason: jobs for reason, jobs in (reasons | others).items() if jobs}

    @property
    def _why_held(self) -> str:
        """Why no job at all is started; empty when each waits for a reason of its own."""
        return str(self._drain_reason or self._downloads.why_behind)

    async def wait_for_slot(self, queued: QueuedJob) -> None:
        """See `Schedule.wait_for_slot`."""
        self.feedback.start_waits(queued)
        resend = self._resends.add(queued.claim)
        self._admit()
        self._changed.set()
        await self._resends.wait(resend)
        self.feedback.start_begins(queued)

    def collect_later(self, life: AttemptLife, due_at: float) -> None:
        """See `Schedule.collect_later`."""
        now = loop_time()
        self._downloads.add(life, due_at, now)
        if due_at > now:
            self._changed.set()

    def queue_again(self, queued: QueuedJob, remedy: Remedy) -> None:
        """See `Schedule.queue_again`."""
        if remedy.resurrects is not None:
            # The attempt has a run already.
            self._end_adoptable_of(queued.seq)
            self._queue.add(queued, loop_time())
        else:
            self._enqueue(queued)
        self._changed.set()

    def count(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        """See `Schedule.count`."""
        self._stop_by(job, outcome, verdict, None)

    def count_back(self, status: JobStatus) -> None:
        """See `Schedule.count_back`."""
        self._stops.failures.take_back(status)

    def settle(
        self, job: Job, outcome: Outcome, verdict: Verdict, counted: JobStatus | None
    ) -> None:
        """See `Schedule.settle`."""
        if self._drain_reason is not None:
            self._has_aborted |= outcome.is_aborted_by_us
        self._end_adoptable_of(job.seq)
        self._apply(self._dependencies.settled(job.seq, outcome.status))
        if outcome.status is JobStatus.SUCCEEDED and self._parts.expander.needs(job.seq, job.key):
            self._expand([(job.seq, job.key)])
        self._stop_by(job, outcome, verdict, counted)

    def leave_run(self) -> None:
        """See `Schedule.leave_run`; after the deadline, the platform refused to abort the run."""
        self._has_aborted |= self._drain_reason is not None

    def _stop_by(
        self, job: Job, outcome: Outcome, verdict: Verdict, counted: JobStatus | None
    ) -> None:
        """Stops the batch if a rule of the job says so, or the count of failed jobs."""
        if verdict.stops_batch:
            self.drain(TooManyFailures(f"{job.key}: {outcome.error}; a rule stops the batch"))
        why = self._stops.failures.count(outcome.status, counted)
        if why is not None:
            self.drain(TooManyFailures(why))

    async def _rest(self) -> None:
        """Returns when no task is alive and none may begin."""
        while not self._is_at_rest():
            # No await since the check, so no change is missed.
            self._changed = anyio.Event()
            self._wakes_at = self._next_wake()
            with anyio.CancelScope(deadline=self._wakes_at):
                await self._changed.wait()

    def _next_wake(self) -> float:
        """When something may begin without any event; infinite when nothing can."""
        if self._stop_reason is not None:
            return math.inf
        times = [self._resends.next_wake(), self._downloads.next_due()]
        if self._drain_reason is None:
            times += [self._queue.next_wake(), self._costs.next_due()]
        return min((time for time in times if time is not None), default=math.inf)

    def _is_at_rest(self) -> bool:
        self._admit()
        if self._tasks is not None and self._tasks.alive:
            return False
        if self._stop_reason is not None:
            return True
        if self._downloads.pending:
            return False
        if self._drain_reason is not None or len(self._queue) == 0:
            return True
        return self._next_wake() == math.inf and not self._adoptable.hold_slots

    def _admit(self) -> None:
        """Starts everything that may start now."""
        if self._stop_reason is not None:
            return
        now = loop_time()
        for _ in range(self._downloads.make_ready(now)):
            self._spawn(self._downloads.work(), name="collect")
        # Before the queue: these attempts have begun, and their money is reserved.
        self._resends.admit(now)
        if self._drain_reason is not None or self._downloads.is_behind:
            return
        self._refuse_held()
        for queued in self._queue.admit(self.usage, now):
            self.feedback.start_begins(queued)
            self._begin(queued)
        if self._costs.begin(now):
            self._spawn(self._costs.ask(), name="costs")

    def _refuse_held(self) -> None:
        """Settles the queued jobs of targets that are held."""
        held = self.usage.gate.breaker.held
        if not held:
            return
        is_new = len(held) != self._targets_held
        self._targets_held = len(held)
        for target, jobs in self._queue.remove(held, later=is_new).items():
            self._spawn(self._refuse(target, jobs), name="refuse")

    async def _refuse(self, target: Target, jobs: list[QueuedJob]) -> None:
        reason = self.usage.gate.breaker.held[target]
        await housekeeping.refuse(self._parts, [job.seq for job in jobs], reason)
        for job in jobs:
            self._apply(self._dependencies.settled(job.seq, JobStatus.FAILED))

    async def _keep_deadline(self, deadline_secs: float) -> None:
        await anyio.sleep(deadline_secs)
        reason = f"the deadline of {deadline_secs:g} s (deadline_secs) has passed"
        self.drain(DeadlinePassed(reason))
        self._parts.follower.abort_runs(reason)

    def _begin(self, queued: QueuedJob, attempt: Attempt | None = None) -> None:
        """Starts the life of an attempt, whose claim is taken."""
        life = self._new_life(self._parts, self, queued, attempt)
        self._spawn(self._run(life), name=f"job-{queued.seq}")

    def _resume(self, attempt: Attempt, queued: QueuedJob) -> None:
        """Resumes an attempt of an earlier process, from the state that the ledger holds."""
        if attempt.state is AttemptState.FINISHED and attempt.run is not None:
            self._new_life(self._parts, self, queued, attempt).resume_ended()
            self._spawn(self._downloads.work(), name="collect")
            return
        # Even beyond the limits: the run may be in progress.
        self.usage.hold(queued.claim)
        self._begin(queued, attempt)

    async def _run(self, life: AttemptLife) -> None:
        await life.run()
        if life.has_failed_run:
            # Its result may stop the batch, so it is collected before another job takes the slot.
            await self._downloads.work(most=1)
        # Not in a `finally`: a cancelled task must not start anything.
        self._admit()
        # A job that waited for the end of this run may now wait for a time.
        if self._next_wake() < self._wakes_at:
            self._changed.set()
        await self._downloads.work()

    def _apply(self, consequences: Consequences) -> None:
        """Queues the jobs that waited for a settled one, or skips them."""
        for queued in consequences.released:
            self._enqueue(queued._replace(claim=self.feedback.raised(queued.claim)))
        if consequences.skipped:
            self._spawn(housekeeping.skip(self._parts, consequences.skipped), name="skip")

    def _expand(self, sources: Iterable[tuple[int, str]]) -> None:
        """Makes jobs of the items of jobs that have succeeded; queues each of them."""
        # What a process that stops leaves to expand, the next one expands.
        for seq, key in sources if self._stop_reason is None else ():
            self._spawn(self._parts.expander.expand(seq, key, self), name="expand")

    def add_new(self, queued: QueuedJob) -> None:
        """See `TakesJobs.add_new`."""
        self._stops.failures.grow()
        self._enqueue(queued._replace(claim=self.feedback.raised(queued.claim)))

    def note_expansion(self, expansion: Expansion, reused: Iterable[int] = ()) -> None:
        """See `TakesJobs.note_expansion`."""
        made = self._parts.expander.made(expansion)
        self._apply(self._dependencies.expanded(expansion, made, reused))

    def _enqueue(self, queued: QueuedJob) -> None:
        """Queues a job; begins its attempt at once if that can adopt a run."""
        place = (queued.seq, queued.number)
        if self._stop_reason is not None or not self._adoptable.hand_over(place):
            self._queue.add(queued, loop_time())
            self._changed.set()
            return
        # Even beyond the limits: no run is started.
        self.usage.hold(queued.claim)
        self._begin(queued)

    def _note_adoptable(self, place: Place, found: AdoptableRun) -> None:
        """Begins the attempt that can adopt a run; watches the run if no job waits for it."""
        queued = self._queue.remove_one(*place)
        if queued is not None:
            self._enqueue(queued)
        elif self._tasks is not None:
            watch = housekeeping.watch_adoptable(self._parts, found, lambda: self._changed.set())
            self._tasks.spawn_beside(watch, name="adoptable")

    def _end_adoptable_of(self, seq: int) -> None:
        if any(place[0] == seq for place, _ in self._adoptable.in_order()):
            self._spawn(self._parts.finder.orphans.end_adoptable(seq), name="orphans")

    def _spawn(self, work: Awaitable[None], *, name: str) -> None:
        assert self._tasks is not None  # noqa: S101 - only called while running
        self._tasks.spawn(work, name=name)

    async def _cancel_after_grace(self, tasks: BatchTasks) -> None:
        await anyio.sleep(self._parts.timings.stop_grace_secs)
        tasks.cancel()
