"""
What the end of one attempt changes for the jobs that wait. No clock, no I/O.

A refusal for lack of capacity, an Actor that is paused, the least cap that an Actor accepts and the
cost of a run concern other jobs too. `now` is monotonic, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from orchestrator.errors import NoRoom
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.jobs import Target
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus, RunStatus
from orchestrator.scheduler.decide.budget import NOTHING
from orchestrator.scheduler.decide.capacity import Resource
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.start_gate import message_pattern
from orchestrator.scheduler.decide.usage import Usage


class Feedback:
    """
    Takes what attempts have shown, and changes what the others may do.

    Args:
        chance: random numbers from 0 to 1.
    """

    def __init__(self, usage: Usage, queue: JobQueue, chance: Callable[[], float]) -> None:
        self._usage = usage
        self._queue = queue
        self._chance = chance
        self._least_caps: dict[Target, Decimal] = {}

    def start_begins(self, queued: QueuedJob) -> None:
        """Notes that the start of a job is about to be sent."""
        if queued.claim.target is not None:
            self._usage.gate.breaker.begins(queued.claim.target, queued.seq)

    def no_run(self, queued: QueuedJob) -> None:
        """Notes that a start has no run."""
        self._usage.gate.lost_answers.end_probe()
        self.start_waits(queued)

    def start_waits(self, queued: QueuedJob) -> None:
        """
        Notes that a start has no run, and waits before it is sent again.

        The one trial of a paused Actor would otherwise wait for its own result.
        """
        if queued.claim.target is not None:
            self._usage.gate.breaker.not_started(queued.claim.target, queued.seq)

    def no_capacity(self, refusal: NoRoom, now: float) -> None:
        """Notes that the account has no capacity for one more run; its claim is released."""
        resource = Resource.MEMORY if refusal.is_memory else Resource.RUNS
        self._usage.refused(resource, now, self._chance())

    def least_cap(self, target: Target, least_usd: Decimal, now: float) -> None:
        """Raises the caps that we choose to the least that an Actor accepts, for all its jobs."""
        self._least_caps[target] = max(least_usd, self._least_caps.get(target, NOTHING))
        self._queue.change_claims(self.raised, now)

    def raised(self, claim: Claim) -> Claim:
        """A claim whose cap is not below the least that its Actor is known to accept."""
        least = NOTHING if claim.target is None else self._least_caps.get(claim.target, NOTHING)
        if claim.caps_itself or least <= claim.reserve_usd:
            return claim
        return replace(claim, reserve_usd=least)

    def run_ended(self, run: Run, claim: Claim, now: float) -> None:
        """Notes what a run has cost so far; its reservation has been kept."""
        if self._usage.budget is not None:
            self._usage.budget.ended(run.id, claim.reserve_usd, run.cost_usd, now)

    def run_lost(self, claim: Claim) -> None:
        """Counts the reservation of an unreadable run as spent; its claim has been released."""
        if self._usage.budget is not None:
            # Released with its claim, so it is reserved again before it counts as spent.
            self._usage.budget.reserve(claim.reserve_usd)
            self._usage.budget.lost(claim.reserve_usd)

    def run_judged(self, attempt: Attempt, run: Run, outcome: Outcome, now: float) -> None:
        """Notes how a run went: an Actor whose runs all fail alike is paused."""
        breaker, job = self._usage.gate.breaker, attempt.job
        was_paused = breaker.blocked(job.target, now) is not None
        # Cases: the Actor works, its run or results failed, or we aborted it, which says nothing.
        if outcome.error is None or (
            run.status == RunStatus.SUCCEEDED and outcome.status is not JobStatus.REJECTED
        ):
            breaker.succeeded(job.target)
        elif not outcome.is_aborted_by_us:
            said = run.status_message if outcome.status != JobStatus.REJECTED else outcome.error
            kind = message_pattern(f"{outcome.status} {run.exit_code} {said}")
            breaker.failed(job.target, (job.seq, attempt.number), kind, outcome.error, now)
        if was_paused:
            self._usage.gate.changed()
