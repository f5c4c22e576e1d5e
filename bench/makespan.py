"""
How well the account is filled: our admission, plain first-come, and a bare semaphore.

Nothing is run: a clock jumps from the end of one run to the next, and admission decides as in a
batch. Every moment is checked against the limits.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.usage import Usage

LIMITS = Limits(max_runs=32, max_memory_mbytes=65_536)
MEMORY = (512, 1024, 2048, 4096, 8192)
HISTORY_ERROR = 0.3
"""How far earlier durations differ from the next ones, as the sigma of a log-normal factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimJob:
    """A job with the duration of its run; the expectation is from history, 0 without one."""

    seq: int
    memory_mbytes: int
    secs: float
    expected_secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    How a batch went.

    Attributes:
        makespan_secs: from the first start to the last end.
        bound_secs: no order of starts could have been faster.
    """

    makespan_secs: float
    bound_secs: float

    @property
    def ratio(self) -> float:
        """The makespan over its lower bound."""
        return self.makespan_secs / self.bound_secs


Admit = Callable[[Usage, float], list[SimJob]]
Policy = Callable[[Sequence[SimJob]], Admit]


def jobs_of(seed: int, jobs: int = 1000, *, has_history: bool = True) -> list[SimJob]:
    """Jobs of log-normal duration and mixed memory."""
    chance = random.Random(seed)  # noqa: S311 - the same jobs each time
    made = []
    for seq in range(jobs):
        memory, secs = chance.choice(MEMORY), chance.lognormvariate(4.0, 1.0)
        expected = secs * chance.lognormvariate(0.0, HISTORY_ERROR)
        made.append(
            SimJob(
                seq=seq,
                memory_mbytes=memory,
                secs=secs,
                expected_secs=expected if has_history else 0.0,
            )
        )
    return made


def lower_bound(jobs: Sequence[SimJob], limits: Limits = LIMITS) -> float:
    """The larger of work over capacity, for runs and for memory, and of the longest job."""
    assert limits.max_memory_mbytes is not None
    return max(
        sum(job.secs for job in jobs) / limits.max_runs,
        sum(job.secs * job.memory_mbytes for job in jobs) / limits.max_memory_mbytes,
        max(job.secs for job in jobs),
    )


def play(jobs: Sequence[SimJob], policy: Policy, limits: Limits = LIMITS) -> Outcome:
    """Runs all jobs on a clock that jumps."""
    usage, admit = Usage(limits), policy(jobs)
    ends: list[tuple[float, int, SimJob]] = []
    now, started = 0.0, 0
    while started < len(jobs) or ends:
        for job in admit(usage, now):
            assert usage.runs <= limits.max_runs, "more runs than allowed"
            assert usage.memory_mbytes <= (limits.max_memory_mbytes or 0), "more memory"
            heapq.heappush(ends, (now + job.secs, job.seq, job))
            started += 1
        now, _, ended = heapq.heappop(ends)
        usage.release(Claim(memory_mbytes=ended.memory_mbytes))
    return Outcome(makespan_secs=now, bound_secs=lower_bound(jobs, limits))


def ours(jobs: Sequence[SimJob]) -> Admit:
    """The admission of a batch."""
    queue, by_seq = JobQueue(), {job.seq: job for job in jobs}
    for job in jobs:
        claim = Claim(memory_mbytes=job.memory_mbytes)
        waiting = QueuedJob(
            rank=0, shortness=-job.expected_secs, seq=job.seq, number=1, claim=claim
        )
        queue.add(waiting, 0.0)

    def admit(usage: Usage, now: float) -> list[SimJob]:
        return [by_seq[waiting.seq] for waiting in queue.admit(usage, now)]

    return admit


def first_come(jobs: Sequence[SimJob]) -> Admit:
    """Strictly in the order of the spec: a job that does not fit blocks all jobs behind it."""
    left = list(reversed(jobs))

    def admit(usage: Usage, now: float) -> list[SimJob]:
        started = []
        while left:
            claim = Claim(memory_mbytes=left[-1].memory_mbytes)
            if usage.blocked(claim, now) is not None:
                break
            usage.take(claim, now)
            started.append(left.pop())
        return started

    return admit


def semaphore(jobs: Sequence[SimJob]) -> Admit:
    """As many runs as would fit if all had the largest memory: what a bare semaphore guarantees."""
    at_once = (LIMITS.max_memory_mbytes or 0) // max(job.memory_mbytes for job in jobs)
    left = list(reversed(jobs))

    def admit(usage: Usage, now: float) -> list[SimJob]:
        started = []
        while left and usage.runs < min(at_once, LIMITS.max_runs):
            usage.take(Claim(memory_mbytes=left[-1].memory_mbytes), now)
            started.append(left.pop())
        return started

    return admit


def run(seeds: int) -> str:
    """Plays the same jobs under each policy and returns the figures as Markdown."""
    rows: dict[str, tuple[Policy, bool]] = {
        "orchestrator, with earlier batches": (ours, True),
        "orchestrator, the first time": (ours, False),
        "first come, first served": (first_come, False),
        "bare semaphore": (semaphore, False),
    }
    lines = [
        (
            f"1,000 jobs of log-normal duration (sigma 1) and 512 to 8,192 MB, {LIMITS.max_runs} "
            f"runs and {LIMITS.max_memory_mbytes:,} MB at once, {seeds} seeds. The lower bound is "
            "the larger of work over capacity and the longest job. Earlier batches have durations "
            f"that are off by a log-normal factor (sigma {HISTORY_ERROR})."
        ),
        "",
        "| | makespan over its lower bound, median | worst |",
        "| --- | ---: | ---: |",
    ]
    for name, (policy, has_history) in rows.items():
        ratios = sorted(
            play(jobs_of(seed, has_history=has_history), policy).ratio for seed in range(seeds)
        )
        lines.append(f"| {name} | {ratios[len(ratios) // 2]:.3f} | {ratios[-1]:.3f} |")
    return "\n".join(lines)
