"""What processes that share a batch find out together, and how the ledger keeps them to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator.errors import ActorRefused
from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import Ledger, create_ledger, location
from orchestrator.ledger.claims import FAILURES, HALT, TARGET, Finding, Refused
from orchestrator.ledger.shard_facts import News
from orchestrator.ledger.store import Store
from orchestrator.ledger.stores import connect
from orchestrator.ledger.transactions import commit_group
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import FailureLimit
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.capacity import Resource
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.start_gate import FAILED_RUNS, REFUSALS
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.shared_limits import Change, SharedLimits
from tests.support.builders import NOON, make_batch, make_job

TARGET_OF_ALL = Target(kind=TargetKind.ACTOR, id="me/actor")
CLAIM = Claim(memory_mbytes=256, target=TARGET_OF_ALL)
LONG = 3600.0


@dataclass
class Controller:
    """One of several processes on a batch."""

    ledger: Ledger
    usage: Usage
    limits: SharedLimits
    handed_in: list[Awaitable[Finding]]

    async def start(self, seq: int) -> Attempt | Refused:
        """What follows when this process is about to start a job."""
        share = self.limits.share(CLAIM)
        answer = await self.ledger.intend(seq, 1, NOON, share, platform_at=None, caps_itself=True)
        if isinstance(answer, Refused):
            self.limits.note(answer, loop_time() + 1)
        return answer

    async def settle(self, seq: int, status: JobStatus) -> None:
        """Starts a job and settles it."""
        attempt = await self.start(seq)
        assert isinstance(attempt, Attempt)
        outcome = Outcome(status=status, error="it failed")
        await self.ledger.mark_over(attempt, outcome, state=AttemptState.FAILED)

    async def fail(self, runs: int, *, first: int = 90) -> None:
        """Notes that runs of the jobs from a place on have failed, all in the same way."""
        for seq in range(runs):
            place = (first + seq, 1)
            self.usage.gate.breaker.failed(TARGET_OF_ALL, place, "kind", "broken", loop_time())
        await self.learn()

    async def learn(self) -> None:
        """Takes over the answers to what was handed in."""
        for found in self.handed_in:
            self.limits.learn(await found)
        self.handed_in.clear()


Join = Callable[..., Awaitable[Controller]]


@pytest.fixture
def join(tmp_path: Path, postgres_schema: str) -> Iterator[Join]:
    """Lets a further process work on a batch of nine jobs."""
    location.configure(postgres_schema)
    path = tmp_path / "ledger.sqlite"
    create_ledger(path, make_batch(), map(make_job, range(9)))
    opened: list[Store] = []

    async def join_batch(failures: FailureLimit | None = None) -> Controller:
        db = connect(path)
        opened.append(db)
        db.lease(LONG)
        ledger = Ledger(db, InlineWorker(partial(commit_group, db)))
        await ledger.join()
        handed_in: list[Awaitable[Finding]] = []
        usage = Usage(Limits(max_runs=9))

        def share(subject: str, change: Change) -> None:
            handed_in.append(ledger.find(subject, change))

        limits = SharedLimits(usage, FailureCount(failures, 9), share)
        return Controller(ledger, usage, limits, handed_in)

    yield join_batch
    for db in opened:
        db.close()
    location.configure(None)


async def test_runs_that_fail_alike_pause_an_actor_for_all_processes(join: Join) -> None:
    """The first five runs count together, whichever process has started them."""
    one, other = await join(), await join()
    await one.fail(FAILED_RUNS - 1)
    assert isinstance(await other.start(0), Attempt)
    await other.fail(1, first=90 + FAILED_RUNS)
    refused = await one.start(1)
    assert isinstance(refused, Refused)
    assert refused.limit == TARGET
    blocked = one.usage.blocked(CLAIM, loop_time())
    assert blocked is not None
    assert "its first 5 runs failed alike" in blocked.reason


async def test_failed_run_of_a_dead_process_is_counted_once(join: Join) -> None:
    """Who takes over its results has seen the same failure again, and not another one."""
    dead, thief = await join(), await join()
    await dead.fail(FAILED_RUNS - 1)
    await thief.fail(FAILED_RUNS - 1)
    assert isinstance(await thief.start(0), Attempt)


async def test_one_process_tries_a_job_of_a_paused_actor(join: Join) -> None:
    """The others wait for its result, and then they may start, too."""
    one, other = await join(), await join()
    for each in (one, other):
        each.usage.gate.breaker.probe_secs = 0.0
    await one.fail(FAILED_RUNS)
    assert isinstance(await one.start(0), Attempt)
    refused = await other.start(1)
    assert isinstance(refused, Refused)
    blocked = other.usage.blocked(CLAIM, loop_time())
    assert blocked is not None
    assert "one job is tried now" in blocked.reason
    one.usage.gate.breaker.succeeded(TARGET_OF_ALL)
    assert isinstance(await other.start(1), Attempt)


async def test_actor_that_one_process_finds_refused_is_held_by_all(join: Join) -> None:
    """Another process starts no job of it, and settles those that it has queued."""
    one, other = await join(), await join()
    for _ in range(REFUSALS):
        one.usage.gate.breaker.refused(TARGET_OF_ALL, ActorRefused("rent it first", status=403))
    refused = await other.start(0)
    assert isinstance(refused, Refused)
    assert "rent it first" in other.usage.gate.breaker.held[TARGET_OF_ALL]


async def test_room_of_the_account_counts_the_runs_of_all_processes(join: Join) -> None:
    """After a refusal with two runs in progress, no process starts a third, until one tries."""
    one, other = await join(), await join()
    await one.start(0)
    await other.start(1)
    other.usage.refused(Resource.RUNS, loop_time(), 0.5)
    await other.learn()
    refused = await one.start(2)
    assert isinstance(refused, Refused)
    blocked = one.usage.blocked(CLAIM, loop_time())
    assert blocked is not None
    assert blocked.reason.startswith("the account has no capacity for more than 2 runs of this")

    def now_due(stored: object, _use: object) -> dict[str, object]:
        assert isinstance(stored, dict)
        return {**stored, "probe_at": 0.0}

    await one.ledger.find("runs", now_due)
    assert isinstance(await one.start(2), Attempt)
    assert isinstance(await other.start(3), Refused)
    one.limits.learn(await one.ledger.find("runs", lambda stored, _use: dict(stored or {})))
    one.usage.started(loop_time())
    await one.learn()
    assert isinstance(await other.start(3), Attempt)


async def test_failures_of_all_processes_count_together(join: Join) -> None:
    """The limit of two is reached by one failed job of each: nothing more is started."""
    limit = FailureLimit(count=2)
    one, other = await join(limit), await join(limit)
    await one.settle(0, JobStatus.FAILED)
    await other.settle(1, JobStatus.SUCCEEDED)
    await other.settle(2, JobStatus.FAILED)
    assert await one.start(3) == Refused(limit=FAILURES, counts=(2, 3))


async def test_share_of_failures_is_judged_by_the_jobs_of_all_processes(join: Join) -> None:
    """A process whose own jobs have all failed continues while those of others succeed."""
    limit = FailureLimit(share=0.5)
    one, other = await join(limit), await join(limit)
    for seq in range(3):
        await other.settle(seq, JobStatus.SUCCEEDED)
    for seq in range(3, 5):
        await one.settle(seq, JobStatus.FAILED)
    await one.settle(5, JobStatus.FAILED)
    assert await other.start(6) == Refused(limit=FAILURES, counts=(3, 6))


async def test_halted_batch_starts_nothing_in_any_process(join: Join) -> None:
    """The ledger refuses at once, before the others have heard of it."""
    one, other = await join(), await join()
    await one.ledger.halt("BudgetExhausted", "no money")
    refused = await other.start(0)
    assert isinstance(refused, Refused)
    assert refused.limit == HALT


async def test_batch_that_is_joined_anew_forgets_what_was_found_out(join: Join) -> None:
    """A later call tries an Actor again that was held, and counts failures from zero."""
    one = await join(FailureLimit(count=1))
    await one.fail(FAILED_RUNS)
    await one.ledger.leave_batch()
    again = await join()
    assert isinstance(await again.start(0), Attempt)


async def test_processes_divide_what_is_scarce(join: Join) -> None:
    """While another process lacks runs, this one uses its share of them and no more."""
    one, other = await join(), await join()
    other.usage.limits = replace(other.usage.limits, max_runs=1)
    await one.start(0)
    assert isinstance(await other.start(1), Refused)
    news: News = await one.ledger.news(0)
    assert (news.processes, news.others_are_hungry) == (2, True)
    one.limits.divide(news)
    for _ in range(5):
        assert one.usage.blocked(CLAIM, loop_time()) is None
        one.usage.take(CLAIM, loop_time())
    blocked = one.usage.blocked(CLAIM, loop_time())
    assert blocked is not None
    assert "wait for their share of the runs" in blocked.reason
    assert not (await other.ledger.news(0)).others_are_hungry
