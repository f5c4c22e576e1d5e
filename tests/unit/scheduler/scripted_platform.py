"""A platform on which attempts have scripted outcomes, and a scheduler for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio

from orchestrator.errors import (
    PermanentError,
    PlatformError,
    SecondCopy,
    TransientError,
)
from orchestrator.model.attempts import Attempt, Collected
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand, Job, Target, TargetKind
from orchestrator.model.rules import Action, Remedy, Rule
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.queue import JobQueue
from orchestrator.scheduler.decide.stops import FailureCount, StopRules
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.follow import EndedRun
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.start_request import CAP_BELOW_FLOOR, StartPostponed, StartRefused
from orchestrator.scheduler.timings import Timings
from tests.support.builders import NOON, make_job, make_run
from tests.support.scheduler_parts import FakeFinder, make_parts
from tests.support.virtual_time import run_virtual
from tests.support.whole_client import WholeClient

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")
CLAIM = Claim(memory_mbytes=128, target=TARGET)
NO_FAILURE_STOPS = FailureCount(None, 1)
TOO_LOW = PermanentError("give at least $0.5", status=400, error_type=CAP_BELOW_FLOOR)
LATER = TransientError("later")
LATER.retry_after_secs = 500.0
SEARCH_SECS = 45.0
Start = Callable[[Attempt], Run]


def succeed(attempt: Attempt) -> Run:
    return make_run(f"run{attempt.job.seq}-{attempt.number}")


def fail(attempt: Attempt) -> Run:
    return make_run(f"run{attempt.job.seq}-{attempt.number}", status="FAILED")


def refuse(_attempt: Attempt) -> Run:
    raise StartRefused(PermanentError("it failed"))


def postpone(error: PlatformError) -> Start:
    """Makes the job wait again for the same attempt."""

    def start(_attempt: Attempt) -> Run:
        raise StartPostponed(error)

    return start


class ScriptedPlatform(FakeFinder, WholeClient):
    """
    Attempts with scripted outcomes; the others succeed after ten seconds.

    Attributes:
        starts: by job, the starts of its attempts in order; the last one repeats.
        secs: how long the runs of a job take.
        collect_secs: how long it takes to collect what a run made.
        aborts: the jobs whose runs we abort.
        leaves: the jobs whose runs cannot be aborted, and stay live.
        resends: the jobs whose starts are lost, and sent again after the search for their runs.
        collecting_fails_with: raised by each download.
        retries: by job, the delay between its first run, which failed, and the next attempt.
        begun: when which attempts began.
        collected: when which runs were collected.
    """

    is_aborting = False

    def __init__(self, starts: dict[int, list[Start]] | None = None) -> None:
        super().__init__()
        self.starts = starts or {}
        self.secs: dict[int, float] = {}
        self.collect_secs = 0.0
        self.retries: dict[int, float] = {}
        self.aborts: set[int] = set()
        self.leaves: set[int] = set()
        self.resends: set[int] = set()
        self.stops_batch = False
        self.collecting_fails_with: PlatformError | None = None
        self.collecting = 0
        self.most_collecting = 0
        self.second_copy_after = float("inf")
        self.search_error: Exception = SecondCopy("another process works on a copy")
        self.begun: list[tuple[int, float]] = []
        self.claims: dict[int, Claim] = {}
        self.collected: dict[str, float] = {}
        self.refused: list[int] = []
        self.skipped: list[int] = []
        self.aborted_at: float | None = None

    def at(self, seq: int) -> list[float]:
        """When the attempts of a job began."""
        return [at for job, at in self.begun if job == seq]

    async def record_intent(
        self, seq: int, number: int, *_now: object, reserved_usd: Decimal | None, **_more: object
    ) -> Attempt:
        self.claims[seq] = replace(CLAIM, reserve_usd=reserved_usd or Decimal(0))
        return attempt_of(seq, number, rules=self.rules(seq))

    def rules(self, seq: int) -> tuple[Rule, ...]:
        if self.stops_batch:
            return (Rule(do=Action.STOP_BATCH),)
        delay = self.retries.get(seq)
        return () if delay is None else (Rule(max=2, backoff_secs=delay),)

    async def start(
        self, attempt: Attempt, *, wait_for_slot: Callable[[], Awaitable[None]], **_more: object
    ) -> Run:
        if attempt.job.seq in self.resends:
            await anyio.sleep(SEARCH_SECS)
            await wait_for_slot()
        self.begun.append((attempt.job.seq, anyio.current_time()))
        starts = self.starts.get(attempt.job.seq, [succeed])
        return (starts.pop(0) if len(starts) > 1 else starts[0])(attempt)

    async def follow(self, attempt: Attempt, run: Run) -> EndedRun | None:
        await anyio.sleep(self.secs.get(attempt.job.seq, 10.0))
        if attempt.job.seq in self.leaves:
            return None
        if attempt.job.seq in self.aborts:
            return EndedRun(attempt, run._replace(status="ABORTED"), None, "aborted by us")
        return EndedRun(attempt, run)

    def platform_now(self) -> None:
        """Its clock is not known."""

    async def get(self, *_asked: object, **_more: object) -> Any:
        raise PermanentError("it is not needed")

    async def collect(
        self, _job: Job, run: Run, _run_json: bytes | None, **_more: object
    ) -> Collected:
        self.collecting += 1
        self.most_collecting = max(self.most_collecting, self.collecting)
        await anyio.sleep(self.collect_secs)
        self.collecting -= 1
        if self.collecting_fails_with is not None:
            raise self.collecting_fails_with
        self.collected[run.id] = anyio.current_time()
        return Collected()

    async def complaint(self, *_judged: object) -> None:
        """Everything is as expected."""

    async def mark_over(self, *_ended: object, **_more: object) -> None:
        """Does nothing."""

    async def refuse(self, seqs: list[int], _reason: str) -> list[str]:
        self.refused += seqs
        return []

    async def skip(self, seq: int, reason: str, _needed: int | None) -> str:
        self.skipped.append(seq)
        return reason

    async def watch_for_copies(self) -> None:
        await anyio.sleep(self.second_copy_after)
        raise self.search_error

    def give_up_waits(self) -> None:
        """Does nothing: live runs get the grace."""

    def abort_runs(self, _reason: str) -> None:
        self.aborted_at = anyio.current_time()


class Silent:
    """An observer that ignores everything."""

    def __getattr__(self, name: str) -> object:
        return lambda *_told, **_more: None


def attempt_of(seq: int, number: int = 1, rules: tuple[Rule, ...] = (), **fields: Any) -> Attempt:
    given = {"state": AttemptState.INTENT, **fields}
    return Attempt(
        job=make_job(seq, rules=rules),
        number=number,
        send=1,
        mark=Mark(f"m.{seq}.{number}.1"),
        intent_at=NOON,
        **given,
    )


def place(seq: int, claim: Claim = CLAIM) -> QueuedJob:
    return QueuedJob(rank=0, shortness=0.0, seq=seq, number=1, claim=claim)


def scheduler_of(
    platform: ScriptedPlatform,
    jobs: Iterable[int],
    *,
    max_runs: int = 9,
    claim: Claim = CLAIM,
    usage: Usage | None = None,
    max_downloads: int = 32,
    timings: Timings | None = None,
    counts_settle_secs: float = 0.0,
    **given: Any,
) -> Scheduler:
    queue = JobQueue()
    for seq in jobs:
        queue.add(place(seq, claim), 0.0)

    def claim_of(_demand: Demand, _remedy: Remedy) -> Claim:
        return claim

    names = ("ledger", "client", "starter", "follower", "finder", "collector", "acceptance")
    parts = make_parts(
        **dict.fromkeys(names, platform),
        observer=Silent(),
        claim_of=claim_of,
        chance=lambda: 1.0,
        max_downloads=max_downloads,
        counts_settle_secs=counts_settle_secs,
        **({} if timings is None else {"timings": timings}),
    )
    return Scheduler(parts, queue=queue, usage=usage or Usage(Limits(max_runs=max_runs)), **given)


def play(scheduler: Scheduler) -> float:
    """Runs a batch to its end; returns how long it took."""

    async def scenario() -> float:
        await scheduler.run()
        return anyio.current_time()

    return run_virtual(scenario)


def deadline(secs: float) -> StopRules:
    return StopRules(failures=NO_FAILURE_STOPS, deadline_secs=secs)
