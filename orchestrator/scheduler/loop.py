"""
The scheduler: wakes, decides, and keeps the tasks of a batch.

Jobs become tasks as slots come free. A slot is free when its run has ended, not when its results
are downloaded. A download begins when the platform has counted what the run made; downloads have a
bound of their own, and what waits for one is not a task.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

import anyio
from anyio.abc import TaskGroup

from orchestrator.errors import (
    BatchHeld,
    BudgetExhausted,
    DeadlinePassed,
    NoRoom,
    OrchestratorError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    SecondCopy,
    StoppedEarly,
    TooManyFailures,
    UsageError,
)
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import Wait
from orchestrator.model.jobs import Demand, Job, Target, demand_of
from orchestrator.model.rules import Remedy
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus, RunStatus
from orchestrator.scheduler.attempt import Driver, Next, Over
from orchestrator.scheduler.decide.budget import NOTHING
from orchestrator.scheduler.decide.capacity import Resource
from orchestrator.scheduler.decide.dependencies import Consequences, Needs, Skipped
from orchestrator.scheduler.decide.limits import Blocked, Claim, Limits, Usage
from orchestrator.scheduler.decide.pending_counts import EndedRun, Settling
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.decide.retries import outcome_of_run
from orchestrator.scheduler.decide.spares import Place, Spare, Spares
from orchestrator.scheduler.decide.start_gate import alike
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.follow import Ended
from orchestrator.scheduler.start import TargetHeld

NEEDS_REASON = "waits for the jobs that it needs"
COUNTING_REASON = "ended; the platform counts their items (counts_settle_secs)"
SPARE_LOOK_SECS = 10.0
MOST_ENDED = 256
"""
So many runs may wait for a free download before starts wait for the downloads: too much would be
paid before its results are judged.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """
    What ends a batch before its last job.

    Attributes:
        failures: counts the jobs that fail.
        deadline_secs: how long this process may be at it; None means no deadline.
    """

    failures: FailureCount
    deadline_secs: float | None = None


@dataclass(slots=True, eq=False)
class Sender:
    """
    An attempt that waits for room to send its start again.

    Attributes:
        held: why it never may, since its target is held.
    """

    claim: Claim
    may_go: anyio.Event = field(default_factory=anyio.Event)
    blocked: Blocked | None = None
    held: str | None = None


class Scheduler:
    """
    Drives all jobs of one batch to their end.

    Args:
        queue: the jobs that wait, already in it.
        usage: nothing taken yet.
        claim_of: what an attempt claims whose demand has changed.
        spares: the runs that another process started for attempts that have not begun.
        stops: what ends the batch early; None where nothing does.
        needs: the jobs that wait for others; None where none does.
        chance: random numbers from 0 to 1.
        max_downloads: runs collected at once.
        stop_grace_secs: how long starts and downloads may go on after a stop.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        queue: WaitingQueue,
        usage: Usage,
        claim_of: Callable[[Demand, Remedy], Claim],
        spares: Spares,
        stops: Stops | None = None,
        needs: Needs | None = None,
        chance: Callable[[], float] = random.random,
        max_downloads: int = 32,
        stop_grace_secs: float = 6.0,
    ) -> None:
        self._driver = driver
        self._queue = queue
        self._usage = usage
        self._claim_of = claim_of
        self._stops = stops
        self._needs = needs or Needs()
        self._spares = spares
        self._chance = chance
        self._max_downloads = max_downloads
        self._stop_grace_secs = stop_grace_secs
        self._targets_held = 0
        self._settling = Settling()
        self._ended: deque[tuple[Ended | EndedRun, Waiting]] = deque()
        self._counted: dict[int, JobStatus] = {}
        self._senders: list[Sender] = []
        self._floors: dict[Target, Decimal] = {}
        self._collecting = 0
        self._tasks_alive = 0
        self._is_settling = False
        self._has_aborted = False
        self._changed = anyio.Event()
        self._stop_reason: OrchestratorError | None = None
        self._drain_reason: StoppedEarly | None = None
        self._tasks: TaskGroup | None = None

    async def run(self, open_attempts: Iterable[tuple[Attempt, Waiting]] = ()) -> None:
        """
        Returns when every job is settled.

        Args:
            open_attempts: what an earlier process left under way, each with its place in the queue.

        Raises:
            OrchestratorError: the reason given to `stop` or `drain`, once all that was going on has
                come to rest; the ledger then holds all that is known.
        """
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            if self._stops is not None and self._stops.deadline_secs is not None:
                tasks.start_soon(self._keep_deadline, self._stops.deadline_secs, name="deadline")
            tasks.start_soon(self._watch_for_copies, name="copies")
            self._follow(self._needs.begin())
            for attempt, waiting in open_attempts:
                self._take_up(attempt, waiting)
            self._spares.added = self._note_spare
            for place, spare in self._spares.in_order():
                self._note_spare(place, spare)
            await self._rest()
            if self._stop_reason is None:
                self._spawn(self._driver.look_for_orphans(), name="orphans")
                await self._rest()
            tasks.cancel_scope.cancel()
        if self._stop_reason is not None:
            raise self._stop_reason
        if self._drain_reason is not None and (self.jobs_wait or self._has_aborted):
            raise self._drain_reason
        if self.jobs_wait:
            raise self._why_stuck()

    def stop(self, reason: OrchestratorError) -> None:
        """
        Starts nothing more and comes to rest soon; runs on the platform go on.

        Waits for runs are given up at once. Starts that are sent and downloads that are under way
        get a grace, since their answers are worth having. A second call changes nothing.
        """
        if self._stop_reason is not None:
            return
        self._stop_reason = reason
        self._driver.give_up_waits()
        if self._tasks is not None:
            self._tasks.start_soon(self._cancel_after_grace, name="stop-grace")
        self._changed.set()

    def drain(self, reason: StoppedEarly) -> None:
        """
        Starts nothing more, and comes to rest when what goes on has ended and is collected.

        The first reason is the one that is raised, if jobs are left.
        """
        self._drain_reason = self._drain_reason or reason
        self._changed.set()

    def set_limits(self, limits: Limits) -> None:
        """Goes on within other limits; what is in use already stays."""
        if limits != self._usage.limits:
            self._usage.limits = limits
            self._changed.set()

    @property
    def jobs_wait(self) -> bool:
        """Whether jobs are left to be started."""
        return len(self._queue) + len(self._needs) > 0

    def waits(self) -> list[Wait]:
        """Why jobs of each kind wait."""
        waits = self._queue.waits()
        if self._drain_reason is None:
            return waits
        return [replace(wait, reason=str(self._drain_reason)) for wait in waits]

    def waits_for(self) -> dict[str, int]:
        """Why jobs wait, with the number of jobs that each reason holds."""
        if self._drain_reason is None:
            reasons = self._queue.reasons() | {NEEDS_REASON: len(self._needs)}
        else:
            reasons = {str(self._drain_reason): len(self._queue)}
        reasons[COUNTING_REASON] = len(self._settling)
        return {reason: jobs for reason, jobs in reasons.items() if jobs}

    async def _rest(self) -> None:
        """Returns when nothing is going on and nothing more may begin."""
        while not self._is_at_rest():
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=self._next_wake()):
                await self._changed.wait()

    def _next_wake(self) -> float:
        """When time alone may let something begin; for ever when it cannot."""
        if self._stop_reason is not None:
            return math.inf
        times = [sender.blocked.until for sender in self._senders if sender.blocked]
        times.append(self._settling.next_due())
        if self._drain_reason is None:
            times.append(self._queue.next_wake())
            if not self._is_settling:
                times.append(self._next_cost())
        return min((time for time in times if time is not None), default=math.inf)

    def _next_cost(self) -> float | None:
        """When the cost of a run is final that jobs wait for."""
        budget = self._usage.budget
        return budget.next_due() if budget is not None and self._queue.waits_for_costs else None

    def _is_at_rest(self) -> bool:
        self._admit()
        if self._tasks_alive:
            return False
        if self._stop_reason is not None:
            return True
        if self._settling:
            return False
        if self._drain_reason is not None:
            return True
        if len(self._queue) == 0:
            return True
        return self._next_wake() == math.inf and not self._spares.hold_room

    def _why_stuck(self) -> StoppedEarly:
        """Why jobs are left though nothing goes on: what they wait for cannot come."""
        reasons = " and ".join(f"{n} jobs: {why}" for why, n in self._queue.reasons().items())
        if self._queue.lacks_money:
            return BudgetExhausted(f"the budget leaves no room for {reasons}")
        return TooManyFailures(f"not started, {reasons}")

    def _admit(self) -> None:
        if self._stop_reason is not None:
            return
        now = anyio.current_time()
        for run in self._settling.due(now):
            self._ended.append((run, run.waiting))
            if self._collecting < self._max_downloads:
                self._spawn(self._bring_home(), name="collect")
        self._admit_senders(now)
        if self._drain_reason is not None or len(self._ended) >= MOST_ENDED:
            return
        self._refuse_held()
        for waiting in self._queue.admit(self._usage, now):
            self._spawn(self._begin(waiting), name=f"job-{waiting.seq}")
        due = self._next_cost()
        if due is not None and due <= now and not self._is_settling:
            self._is_settling = True
            self._spawn(self._settle_costs(), name="costs")

    def _admit_senders(self, now: float) -> None:
        """Lets those go on that wait to send a start again."""
        held = self._usage.gate.breaker.held
        for sender in self._senders.copy():
            sender.held = held.get(sender.claim.target) if sender.claim.target else None
            sender.blocked = self._usage.blocked(sender.claim, now)
            if sender.blocked is None:
                self._usage.take(sender.claim, now)
            if sender.blocked is None or sender.held is not None:
                self._senders.remove(sender)
                sender.may_go.set()

    def _refuse_held(self) -> None:
        """Ends the waiting jobs of targets that are held."""
        held = self._usage.gate.breaker.held
        if not held:
            return
        is_new = len(held) != self._targets_held
        self._targets_held = len(held)
        for target, jobs in self._queue.remove(held, later=is_new).items():
            self._spawn(self._refuse(jobs, held[target]), name="refuse")

    async def _refuse(self, jobs: Sequence[Waiting], reason: str) -> None:
        await self._driver.refuse([job.seq for job in jobs], reason)
        for job in jobs:
            name = f"job {job.seq + 1} of the spec"
            self._follow(self._needs.settled(job.seq, name, JobStatus.FAILED))

    async def _settle_costs(self) -> None:
        """Puts what runs have cost in the place of what was reserved for them."""
        budget = self._usage.budget
        assert budget is not None  # noqa: S101 - only called with one
        try:
            costs = await self._driver.settle_costs(budget.due(anyio.current_time()))
        finally:
            self._is_settling = False
        for run_id, cost in costs.items():
            budget.settled(run_id, cost)
        self._changed.set()

    async def _watch_for_copies(self) -> None:
        try:
            await self._driver.watch_for_copies()
        except SecondCopy as error:
            self.stop(error)

    async def _keep_deadline(self, deadline_secs: float) -> None:
        await anyio.sleep(deadline_secs)
        reason = f"the deadline of {deadline_secs:g} s (deadline_secs) has passed"
        self.drain(DeadlinePassed(reason))
        self._driver.abort_runs(reason)

    def _take_up(self, attempt: Attempt, waiting: Waiting) -> None:
        """Goes on with an attempt of an earlier process, from the state that the ledger holds."""
        claim = waiting.claim
        if attempt.state is AttemptState.FINISHED and attempt.run:
            if self._usage.budget is not None:
                self._usage.budget.reserve(claim.reserve_usd)
                self._note_cost(attempt.run, claim)
            self._collect_later(Ended(attempt, attempt.run), waiting)
            self._spawn(self._bring_home(), name="collect")
            return
        # Whatever the limits say now: the run may be going.
        self._usage.hold(claim)
        self._spawn(self._drive(attempt, waiting, may_exist=True), name=f"job-{attempt.job.seq}")

    async def _begin(self, waiting: Waiting, *, is_start: bool = True) -> None:
        if is_start:
            self._note_begin(waiting)
        try:
            attempt = await self._driver.intend(waiting.seq, waiting.number, waiting.claim)
        except BaseException:
            self._usage.give(waiting.claim)
            raise
        await self._drive(attempt, waiting, may_exist=False)

    async def _drive(self, attempt: Attempt, waiting: Waiting, *, may_exist: bool) -> None:
        claim = waiting.claim
        end = None
        try:
            end = await self._driver.to_end(
                attempt,
                may_exist=may_exist,
                cap_usd=None if claim.caps_itself else claim.reserve_usd,
                wait_for_room=partial(self._take_again, waiting),
                has_started=self._has_started,
            )
        finally:
            self._usage.give(claim, keeps_money=isinstance(end, Ended))
        if isinstance(end, Next) and end.refusal is not None:
            self._note_refusal(end.refusal)
        if isinstance(end, Next) and end.floor_usd is not None:
            self._learn_floor(end.job.target, end.floor_usd)
        if isinstance(end, Ended):
            self._note_cost(end.run, claim)
        if isinstance(end, Over) and end.may_cost and self._usage.budget is not None:
            self._usage.budget.reserve(claim.reserve_usd)
            self._usage.budget.lost(claim.reserve_usd)
        match end:
            case None:
                # Left as it is; at a deadline, since the platform refuses to abort it.
                self._has_aborted |= self._drain_reason is not None
            case Next():
                self._note_no_run(waiting)
                self._wait_again(end, waiting)
            case Over():
                self._note_no_run(waiting)
                self._over(end, waiting)
            case Ended():
                self._collect_later(end, waiting)
                # It may stop the batch, which should be known before the slot is taken again.
                self._count_early(end)
                if end.run.status != RunStatus.SUCCEEDED:
                    await self._bring_home(most=1)
        # Not in the finally: what is being cancelled must not begin anything.
        self._admit()
        await self._bring_home()

    def _has_started(self) -> None:
        self._usage.started(anyio.current_time())

    def _note_begin(self, waiting: Waiting) -> None:
        if waiting.claim.target is not None:
            self._usage.gate.breaker.begins(waiting.claim.target, waiting.seq)

    def _note_no_run(self, waiting: Waiting) -> None:
        """Notes that no run came of a start."""
        self._usage.gate.doubts.settle()
        if waiting.claim.target is not None:
            self._usage.gate.breaker.not_started(waiting.claim.target, waiting.seq)

    def _note_run(self, job: Job, run: Run, outcome: Outcome) -> None:
        """Notes how a run went: an Actor whose runs all fail alike is paused."""
        breaker = self._usage.gate.breaker
        if outcome.error is None or (
            run.status == RunStatus.SUCCEEDED and outcome.status is not JobStatus.REJECTED
        ):
            breaker.succeeded(job.target)
        elif not outcome.is_aborted_by_us:
            said = run.status_message if outcome.status != JobStatus.REJECTED else outcome.error
            kind = alike(f"{outcome.status} {run.exit_code} {said}")
            breaker.failed(job.target, job.seq, kind, outcome.error, anyio.current_time())

    def _note_refusal(self, refusal: NoRoom | PlanLimitReached) -> None:
        """Lets all jobs know that there is no room for one more, or no money."""
        if isinstance(refusal, PlanLimitReached):
            self.drain(PlanExhausted(str(refusal)))
            return
        resource = Resource.MEMORY if refusal.is_memory else Resource.RUNS
        self._usage.refused(resource, anyio.current_time(), self._chance())

    def _learn_floor(self, target: Target, floor_usd: Decimal) -> None:
        """Raises the caps that we choose to what an Actor takes at least, for all its jobs."""
        self._floors[target] = max(floor_usd, self._floors.get(target, NOTHING))
        self._queue.change_claims(self._raised, anyio.current_time())

    def _raised(self, claim: Claim) -> Claim:
        floor = NOTHING if claim.target is None else self._floors.get(claim.target, NOTHING)
        if claim.caps_itself or floor <= claim.reserve_usd:
            return claim
        return replace(claim, reserve_usd=floor)

    def _note_cost(self, run: Run, claim: Claim) -> None:
        if self._usage.budget is not None:
            self._usage.budget.ended(run.id, claim.reserve_usd, run.cost_usd, anyio.current_time())

    async def _take_again(self, waiting: Waiting) -> None:
        """
        Gives a claim back and takes it again within the limits.

        More may be held than the limits allow, by attempts of an earlier process that had others;
        what turns out to have no run must not add one to that.

        Raises:
            TargetHeld: the start may not be sent again.
        """
        # Its money stays reserved: no other start may use it meanwhile.
        claim = replace(waiting.claim, reserve_usd=NOTHING)
        sender = Sender(claim)
        self._usage.give(claim)
        self._senders.append(sender)
        self._admit()
        self._changed.set()
        try:
            await sender.may_go.wait()
        except BaseException:
            if sender in self._senders:
                self._senders.remove(sender)
                self._usage.hold(claim)
            raise
        if sender.held is not None:
            self._usage.hold(claim)
            raise TargetHeld(sender.held)
        self._note_begin(waiting)

    async def _bring_home(self, most: float = math.inf) -> None:
        """Collects ended runs until none is left, or so many; unless enough others are at it."""
        if self._collecting >= self._max_downloads:
            return
        self._collecting += 1
        try:
            while self._ended and most > 0 and self._stop_reason is None:
                ended, waiting = self._ended.popleft()
                if len(self._ended) == MOST_ENDED - 1:
                    self._admit()
                if isinstance(ended, EndedRun):
                    ended = await self._driver.ended(*ended[1:4])
                self._over(await self._driver.bring_home(ended), waiting)
                most -= 1
        finally:
            self._collecting -= 1

    def _collect_later(self, ended: Ended, waiting: Waiting) -> None:
        """Lets an ended run be collected as soon as its items are counted."""
        due_at, attempt = self._driver.settles_at(ended), ended.attempt
        if ended.run.status != RunStatus.SUCCEEDED:
            self._note_run(attempt.job, ended.run, outcome_of_run(ended.run, ended.aborted_because))
        if due_at <= anyio.current_time():
            self._ended.append((ended, waiting))
            return
        because = ended.aborted_because
        self._settling.add(EndedRun(due_at, attempt.job.seq, attempt.number, because, waiting))
        self._changed.set()

    def _count_early(self, ended: Ended) -> None:
        """Counts a job by its last run, while its results are waited for."""
        job = ended.attempt.job
        outcome, verdict = self._driver.foresee(ended)
        if verdict is None or verdict.delay_secs is not None:
            return
        if verdict.stops_batch:
            self._stop_by_rule(job, outcome)
        self._counted[job.seq] = outcome.status
        self._count(outcome)

    def _over(self, over: Over, waiting: Waiting) -> None:
        """
        Lets the job wait again, or counts it as settled and looks whether that stops anything.
        """
        job, outcome = over.attempt.job, over.outcome
        if over.run is not None and over.run.status == RunStatus.SUCCEEDED:
            self._note_run(job, over.run, outcome)
        counted = self._counted.pop(job.seq, None)
        if over.next is not None:
            if counted is not None and self._stops is not None:
                self._stops.failures.take_back(counted)
            self._wait_again(over.next, waiting)
            return
        if self._drain_reason is not None:
            self._has_aborted |= outcome.is_aborted_by_us
        self._spawn_end_of_spares(job.seq)
        self._follow(self._needs.settled(job.seq, job.key, outcome.status))
        if over.stops_batch:
            self._stop_by_rule(job, outcome)
        self._count(outcome, counted)

    def _stop_by_rule(self, job: Job, outcome: Outcome) -> None:
        self.drain(TooManyFailures(f"{job.key}: {outcome.error}; a rule stops the batch"))

    def _count(self, outcome: Outcome, before: JobStatus | None = None) -> None:
        """
        Counts a job that is over, which may stop the batch.

        Args:
            before: as what it was counted by its run; None where it was not.
        """
        if self._stops is None:
            return
        failures = self._stops.failures
        if before is None:
            why = failures.add(outcome.status)
        else:
            why = failures.correct(before, outcome.status)
        if why is not None:
            self.drain(TooManyFailures(why))

    def _follow(self, consequences: Consequences) -> None:
        """Queues the jobs that waited for a settled one, or skips them."""
        for waiting in consequences.released:
            self._enqueue(replace(waiting, claim=self._raised(waiting.claim)))
        if consequences.released:
            self._changed.set()
        if consequences.skipped:
            self._spawn(self._skip(consequences.skipped), name="skip")

    async def _skip(self, skipped: Iterable[Skipped]) -> None:
        for job in skipped:
            await self._driver.skip(job.seq, job.reason)

    def _wait_again(self, following: Next, waiting: Waiting) -> None:
        now = anyio.current_time()
        # Those that are held are refused at once.
        is_held = following.job.target in self._usage.gate.breaker.held
        again = replace(
            waiting,
            number=following.number,
            claim=self._raised(self._claim_of(demand_of(following.job), following.remedy)),
            ready_at=now if is_held else now + following.delay_secs,
        )
        if following.remedy.resurrects is not None:
            # It has a run already.
            self._spawn_end_of_spares(following.job.seq)
            self._queue.add(again, now)
        else:
            self._enqueue(again)
        self._changed.set()

    def _enqueue(self, waiting: Waiting) -> None:
        """Lets a job wait; where its attempt has a spare run, it begins at once, in its place."""
        place = (waiting.seq, waiting.number)
        if self._stop_reason is not None or not self._spares.hand_over(place):
            self._queue.add(waiting, anyio.current_time())
            return
        # Whatever the limits say now: nothing is started.
        self._usage.hold(waiting.claim)
        self._spawn(self._begin(waiting, is_start=False), name=f"job-{waiting.seq}")

    def _note_spare(self, place: Place, spare: Spare) -> None:
        """
        Lets the job that waits for an attempt take its spare run; another spare run is watched.
        """
        waiting = self._queue.take_out(*place)
        if waiting is not None:
            self._enqueue(waiting)
        elif self._tasks is not None:
            self._tasks.start_soon(self._watch_spare, spare, name="spare")

    async def _watch_spare(self, spare: Spare) -> None:
        """Gives the room of a spare run back when it ends, unless an attempt takes it before."""
        try:
            while spare.holds_room:
                await anyio.sleep(SPARE_LOOK_SECS)
                if await self._driver.has_ended(spare.run):
                    self._spares.note_end(spare)
                    self._changed.set()
        except PlatformError as error:
            self.stop(error)

    def _spawn_end_of_spares(self, seq: int) -> None:
        if any(place[0] == seq for place, _ in self._spares.in_order()):
            self._spawn(self._driver.end_spares(seq), name="orphans")

    def _spawn(self, work: Awaitable[None], *, name: str) -> None:
        assert self._tasks is not None  # noqa: S101 - only called while running
        self._tasks_alive += 1
        self._tasks.start_soon(self._guarded, work, name=name)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Runs a task; an error that concerns the whole batch stops it, a bug goes on its way."""
        try:
            await work
        except PlanLimitReached as error:
            self.stop(PlanExhausted(str(error)))
        except (StoppedEarly, PlatformError, BatchHeld, UsageError) as error:
            self.stop(error)
        finally:
            self._tasks_alive -= 1
            if self._tasks_alive == 0:
                self._changed.set()

    async def _cancel_after_grace(self) -> None:
        assert self._tasks is not None  # noqa: S101 - only called while running
        await anyio.sleep(self._stop_grace_secs)
        self._tasks.cancel_scope.cancel()
