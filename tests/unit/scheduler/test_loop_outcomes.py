"""What the scheduler makes of how attempts end, on a platform where they go as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from orchestrator.errors import (
    ActorRefused,
    DeadlinePassed,
    NoRoom,
    NotAuthorized,
    PermanentError,
    PlanExhausted,
    PlanLimitReached,
    PlatformError,
    SecondCopy,
    TooManyFailures,
    TransientError,
)
from orchestrator.model.attempts import Attempt, Collected
from orchestrator.model.batches import FailureLimit
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand, Job, Target, TargetKind
from orchestrator.model.rules import Action, Remedy, Rule
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.dependencies import Dependencies
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.queue import JobQueue, QueuedJob
from orchestrator.scheduler.decide.stops import FailureCount, StopRules
from orchestrator.scheduler.downloads import MOST_READY
from orchestrator.scheduler.follow import EndedRun
from orchestrator.scheduler.loop import Scheduler
from orchestrator.scheduler.start_request import CAP_BELOW_FLOOR, StartPostponed, StartRefused
from orchestrator.scheduler.timings import TIMINGS, Timings
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

Start = Callable[[Attempt], Run]


def succeed(attempt: Attempt) -> Run:
    return make_run(f"run{attempt.job.seq}-{attempt.number}")


def fail(attempt: Attempt) -> Run:
    return make_run(f"run{attempt.job.seq}-{attempt.number}", status="FAILED")


def refuse(_attempt: Attempt) -> Run:
    raise StartRefused(PermanentError("it failed"))


def postpone(error: PlatformError) -> Start:
    """The job waits again for the same attempt."""

    def start(_attempt: Attempt) -> Run:
        raise StartPostponed(error)

    return start


class ScriptedPlatform(FakeFinder, WholeClient):
    """
    Attempts that go as a test says; the others succeed after ten seconds.

    Attributes:
        starts: by job, what its attempts begin with, in turn; the last one repeats.
        secs: how long the runs of a job take.
        collect_secs: how long it takes to collect what a run made.
        aborts: the jobs whose runs are aborted by us.
        leaves: the jobs whose runs may not be aborted, and are left as they are.
        collecting_fails_with: raised by each download.
        retries: by job, after how long its first run that failed is followed by another one.
        begun: when which attempts began.
        collected: when what runs were collected.
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

    async def start(self, attempt: Attempt, **_more: object) -> Run:
        self.begun.append((attempt.job.seq, anyio.current_time()))
        starts = self.starts.get(attempt.job.seq, [succeed])
        return (starts.pop(0) if len(starts) > 1 else starts[0])(attempt)

    async def follow(self, attempt: Attempt, run: Run) -> EndedRun | None:
        await anyio.sleep(self.secs.get(attempt.job.seq, 10.0))
        if attempt.job.seq in self.leaves:
            return None
        if attempt.job.seq in self.aborts:
            return EndedRun(attempt, replace(run, status="ABORTED"), None, "aborted by us")
        return EndedRun(attempt, run)

    def platform_now(self) -> None:
        """Its clock is not known."""

    async def get(self, *_asked: object, **_more: object) -> Any:
        raise PermanentError("it is not needed")

    async def collect(self, _job: Job, run: Run, _run_json: bytes | None) -> Collected:
        self.collecting += 1
        self.most_collecting = max(self.most_collecting, self.collecting)
        await anyio.sleep(self.collect_secs)
        self.collecting -= 1
        if self.collecting_fails_with is not None:
            raise self.collecting_fails_with
        self.collected[run.id] = anyio.current_time()
        return Collected()

    async def complaint(self, *_judged: object) -> None:
        """All is as expected."""

    async def mark_over(self, *_ended: object, **_more: object) -> None:
        """It is recorded."""

    async def refuse(self, seqs: list[int], _reason: str) -> list[str]:
        self.refused += seqs
        return []

    async def skip(self, seq: int, _reason: str) -> None:
        self.skipped.append(seq)

    async def watch_for_copies(self) -> None:
        await anyio.sleep(self.second_copy_after)
        raise self.search_error

    def give_up_waits(self) -> None:
        """What goes on is left to the grace."""

    def abort_runs(self, _reason: str) -> None:
        self.aborted_at = anyio.current_time()


class Silent:
    """An observer that nobody listens to."""

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
        **({} if timings is None else {"timings": timings}),
    )
    return Scheduler(parts, queue=queue, usage=usage or Usage(Limits(max_runs=max_runs)), **given)


def play(scheduler: Scheduler) -> float:
    """Runs a batch to its end; returns how long it took."""

    async def scenario() -> float:
        await scheduler.run()
        return anyio.current_time()

    return run_virtual(scenario)


def test_second_copy_at_work_stops_the_batch() -> None:
    """When another process starts runs of this batch, this one starts nothing more."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    with pytest.raises(SecondCopy):
        play(scheduler_of(platform, range(9), max_runs=1))
    assert [at for _, at in platform.begun] == [0, 10, 20]


def test_stopped_batch_gives_what_goes_on_a_few_seconds() -> None:
    """Starts and downloads that are under way may end; six seconds later the batch is over."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    platform.secs = {0: 1000.0}
    scheduler = scheduler_of(platform, [0], timings=TIMINGS)

    async def scenario() -> float:
        with pytest.raises(SecondCopy):
            await scheduler.run()
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(31.0)


def test_stopped_batch_is_over_when_nothing_goes_on_any_more() -> None:
    """What ends within the grace is not waited for any longer."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    scheduler = scheduler_of(platform, range(9), max_runs=1, timings=TIMINGS)

    async def scenario() -> float:
        with pytest.raises(SecondCopy):
            await scheduler.run()
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(30.0)


def test_token_that_is_refused_by_the_search_for_copies_stops_the_batch() -> None:
    """A token that is revoked during the batch is no bug: the batch stops with the refusal."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    platform.search_error = NotAuthorized("revoked", status=401)
    with pytest.raises(NotAuthorized):
        play(scheduler_of(platform, range(9), max_runs=1))
    assert [at for _, at in platform.begun] == [0, 10, 20]


def test_job_waits_for_its_next_attempt_when_nothing_else_goes_on() -> None:
    """A batch is not over while a failed job waits for another try."""
    platform = ScriptedPlatform({0: [fail, succeed]})
    platform.retries = {0: 100.0}
    play(scheduler_of(platform, [0]))
    assert platform.at(0) == [0, 110]
    assert platform.collected.keys() == {"run0-1", "run0-2"}


def test_next_attempt_begins_on_time_beside_a_long_run() -> None:
    """A retry that is due begins, though nothing else happens meanwhile."""
    platform = ScriptedPlatform({0: [fail, succeed]})
    platform.retries = {0: 5.0}
    platform.secs = {1: 1000.0}
    play(scheduler_of(platform, [0, 1]))
    assert platform.at(0) == [0, 15]


def test_refused_start_ends_its_job_alone() -> None:
    """A job without a run is over; the others go on."""
    platform = ScriptedPlatform({0: [refuse]})
    play(scheduler_of(platform, range(3), max_runs=1))
    assert platform.collected.keys() == {"run1-1", "run2-1"}


def test_run_that_ended_in_an_earlier_process_is_collected() -> None:
    """What the ledger holds as finished is downloaded, and not started again."""
    platform = ScriptedPlatform()
    finished = attempt_of(0, state=AttemptState.FINISHED, run=make_run("before"))
    run_virtual(lambda: scheduler_of(platform, []).run([(finished, place(0))]))
    assert platform.collected == {"before": 0.0}
    assert platform.begun == []


class TellingPlatform(ScriptedPlatform):
    """
    Tells what runs have cost, when it is asked.

    Attributes:
        asked_at: when it was.
    """

    def __init__(self, answers_after: float = 30.0) -> None:
        super().__init__()
        self.answers_after = answers_after
        self.asked_at: list[float] = []

    async def get(self, *asked: Any, **_more: object) -> Any:
        self.asked_at.append(anyio.current_time())
        await anyio.sleep(self.answers_after)
        return SimpleNamespace(facts=lambda: make_run(asked[0], cost_usd=Decimal("0.1")))

    async def record_costs(self, *_costs: object) -> None:
        """They are recorded."""


def budget_of_one() -> Usage:
    """A dollar to spend; costs are final after two minutes."""
    return Usage(Limits(max_runs=9), Budget(Decimal(1), 120.0))


COSTLY = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal("0.6"))


def test_job_that_waits_for_a_final_cost_starts_when_it_is_told() -> None:
    """The cost is asked for once, as soon as it is final."""
    platform = TellingPlatform()
    play(scheduler_of(platform, [0, 1], claim=COSTLY, usage=budget_of_one()))
    assert platform.asked_at == [130.0]
    assert platform.at(1) == [160.0]


def test_run_that_ended_in_an_earlier_process_counts_in_the_budget() -> None:
    """Its reservation counts until its cost is final."""
    usage = budget_of_one()
    finished = attempt_of(0, state=AttemptState.FINISHED, run=make_run("before"))
    scheduler = scheduler_of(ScriptedPlatform(), [], claim=COSTLY, usage=usage)
    run_virtual(lambda: scheduler.run([(finished, place(0, COSTLY))]))
    assert usage.budget is not None
    assert usage.budget.spent_usd + usage.budget.reserved_usd == Decimal("0.6")


@pytest.mark.parametrize(("answers_after", "is_away"), [(15.0, False), (25.0, True)])
def test_platform_that_does_not_answer_for_20_seconds_is_away(
    answers_after: float, *, is_away: bool
) -> None:
    """Where only the results of a run cannot be read, its job ends and the batch continues."""
    platform = TellingPlatform(answers_after)
    platform.collecting_fails_with = TransientError("silent")
    with pytest.raises(TransientError) if is_away else nullcontext():
        play(scheduler_of(platform, [0]))
    assert len(platform.asked_at) == 1


def test_rule_that_stops_the_batch_does_so_before_downloads() -> None:
    """A run that fails under such a rule lets nothing more start, however long downloads take."""
    platform = ScriptedPlatform({0: [fail]})
    platform.stops_batch = True
    platform.collect_secs = 500.0
    platform.secs = {1: 15.0}
    with pytest.raises(TooManyFailures, match="a rule stops the batch"):
        play(
            scheduler_of(platform, range(9), max_runs=2, stops=StopRules(failures=NO_FAILURE_STOPS))
        )
    assert sorted({seq for seq, _ in platform.begun}) == [0, 1]


def test_job_starts_when_what_it_needs_has_succeeded() -> None:
    """It begins at the end of the job that it needs."""
    platform = ScriptedPlatform()
    needs = Dependencies({("first",): [0]}, [(place(1), ("first",))])
    play(scheduler_of(platform, [0], dependencies=needs))
    assert (platform.at(1), platform.skipped) == ([10], [])


def test_resumed_batch_begins_with_what_its_settled_jobs_allow() -> None:
    """What a job needs may have ended in an earlier process, well or not."""
    platform = ScriptedPlatform()
    needs = Dependencies(
        {("first",): [0], ("second",): [1]},
        [(place(2), ("first",)), (place(3), ("second",))],
        {0: JobStatus.SUCCEEDED, 1: JobStatus.FAILED},
    )
    play(scheduler_of(platform, [], dependencies=needs))
    assert (platform.at(2), platform.skipped) == ([0], [3])


def test_jobs_are_skipped_whose_needs_failed() -> None:
    """A job that needs a failed one is skipped, and so is one that needs the skipped one."""
    platform = ScriptedPlatform({0: [refuse]})
    needs = Dependencies(
        {("first",): [0], ("second",): [1]}, [(place(1), ("first",)), (place(2), ("second",))]
    )
    scheduler = scheduler_of(platform, [0], dependencies=needs)
    play(scheduler)
    assert platform.skipped == [1, 2]
    assert not scheduler.jobs_wait


def holding() -> tuple[Usage, Start]:
    """A usage whose Actor is held from the first refused start on, and that start."""
    usage = Usage(Limits(max_runs=1))

    def hold(attempt: Attempt) -> Run:
        error = ActorRefused("You must rent it", status=403, error_type="actor-is-not-rented")
        for _ in range(2):
            usage.gate.refused(TARGET, error, is_resurrection=False)
        return refuse(attempt)

    return usage, hold


def test_held_actor_ends_jobs_that_wait_for_another_attempt() -> None:
    """Neither they nor those that were never tried are started once their Actor is held."""
    usage, hold = holding()
    platform = ScriptedPlatform({0: [postpone(LATER)], 1: [hold]})
    took = play(scheduler_of(platform, range(4), usage=usage))
    assert sorted(platform.refused) == [0, 2, 3]
    assert took < 10


def test_jobs_are_skipped_whose_needs_were_refused_unsent() -> None:
    """A job of a held Actor that is not sent counts as failed for those that need it."""
    usage, hold = holding()
    platform = ScriptedPlatform({0: [hold]})
    needs = Dependencies({("second",): [1]}, [(place(2), ("second",))])
    scheduler = scheduler_of(platform, [0, 1], usage=usage, dependencies=needs)
    play(scheduler)
    assert (platform.refused, platform.skipped) == ([1], [2])


def test_start_without_room_holds_the_others_back() -> None:
    """When the account is full, other starts wait too, and are tried one by one."""
    no_room = NoRoom("full", status=402, error_type="actor-memory-limit-exceeded")
    platform = ScriptedPlatform({1: [postpone(no_room), succeed]})
    platform.secs = {0: 60.0}
    play(scheduler_of(platform, range(8), max_runs=2))
    first_second = [seq for seq, at in platform.begun if at < 1.0]
    assert first_second == [0, 1]


def test_plan_that_is_used_up_lets_runs_end_and_starts_no_more() -> None:
    """The batch says so at its end; what goes on is collected."""
    refusal = PlanLimitReached("no money left", status=402)
    platform = ScriptedPlatform({1: [postpone(refusal)]})
    with pytest.raises(PlanExhausted, match="no money left"):
        play(scheduler_of(platform, range(9), max_runs=2))
    assert [seq for seq, _ in platform.begun] == [0, 1]
    assert platform.collected.keys() == {"run0-1"}


def test_floor_of_an_actor_raises_the_caps_of_its_waiting_jobs() -> None:
    """One refusal for too small a cap is enough: the others are sent with what is taken."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal("0.1"), caps_itself=False)
    platform = ScriptedPlatform({0: [postpone(TOO_LOW), succeed]})
    play(scheduler_of(platform, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in platform.claims.values()} == {Decimal("0.5")}
    assert len(platform.at(0)) == 2


def test_floor_of_an_actor_leaves_larger_caps_alone() -> None:
    """What is reserved already is enough, and other Actors' jobs are as they were."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal(2), caps_itself=False)
    platform = ScriptedPlatform({0: [postpone(TOO_LOW), succeed]})
    play(scheduler_of(platform, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in platform.claims.values()} == {Decimal(2)}


def test_deadline_aborts_what_goes_on_and_starts_no_more() -> None:
    """Runs that go on at the deadline are aborted, and jobs are left for another call."""
    platform = ScriptedPlatform()
    stops = StopRules(failures=NO_FAILURE_STOPS, deadline_secs=35.0)
    with pytest.raises(DeadlinePassed, match="35 s"):
        play(scheduler_of(platform, range(9), max_runs=1, stops=stops))
    assert platform.aborted_at == 35
    assert [at for _, at in platform.begun] == [0, 10, 20, 30]


def test_stop_for_failures_does_not_wait_for_later_attempts() -> None:
    """Once a batch stops, a job that waits for its next attempt is left to another call."""
    platform = ScriptedPlatform({0: [fail], 1: [fail]})
    platform.retries = {0: 5000.0}
    platform.secs = {1: 20.0}
    stops = StopRules(failures=FailureCount(FailureLimit(count=1), 2))
    with pytest.raises(TooManyFailures):
        play(scheduler_of(platform, [0, 1], stops=stops))
    assert platform.at(0) == [0]


def test_run_that_succeeds_shows_that_an_actor_works() -> None:
    """Five later failures alike do not pause an Actor of which one run has succeeded."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(1, 7)})
    took = play(scheduler_of(platform, range(8), max_runs=1))
    assert took == pytest.approx(80)


def test_runs_that_all_fail_alike_pause_their_actor() -> None:
    """After five failures alike and no success, the next job waits for a trial a minute later."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(5)})
    play(scheduler_of(platform, range(7), max_runs=1))
    assert platform.at(5) == [pytest.approx(110)]


def test_trial_of_a_paused_actor_whose_start_is_refused_is_followed_by_another() -> None:
    """No run came of it, so that it shows nothing: the next job is tried at once."""
    platform = ScriptedPlatform({**{seq: [fail] for seq in range(5)}, 5: [refuse]})
    play(scheduler_of(platform, range(8), max_runs=1))
    assert platform.at(6) == [pytest.approx(110)]
    assert platform.collected.keys() >= {"run6-1", "run7-1"}


def test_starts_wait_while_too_many_ended_runs_wait_for_a_download() -> None:
    """Too much would be paid before it is judged; each free download lets one more run start."""
    platform = ScriptedPlatform()
    platform.secs = dict.fromkeys(range(MOST_READY + 50), 0.5)
    platform.collect_secs = 1000.0
    play(scheduler_of(platform, range(MOST_READY + 50), max_runs=1, max_downloads=1))
    begun = [at for _, at in platform.begun]
    early = [at for at in begun if at < 1000.0]
    # One is being downloaded, MOST_READY wait.
    assert len(early) == MOST_READY + 1
    later = [at for at in begun if at >= 1000.0]
    assert later[:3] == [
        pytest.approx(1000.5, abs=1),
        pytest.approx(2000.5, abs=1),
        pytest.approx(3000.5, abs=1),
    ]


def test_downloads_keep_to_their_own_limit() -> None:
    """However many runs have ended, no more are downloaded at once, to the last one."""
    platform = ScriptedPlatform()
    platform.collect_secs = 35.0
    play(scheduler_of(platform, range(30), max_runs=5, max_downloads=3))
    assert platform.most_collecting == 3
    assert len(platform.collected) == 30


def test_trouble_that_concerns_the_whole_batch_stops_it() -> None:
    """A token that counts no more while results are downloaded ends the batch with its words."""
    platform = ScriptedPlatform()
    platform.collecting_fails_with = NotAuthorized("no token", status=401)
    with pytest.raises(NotAuthorized, match="no token"):
        play(scheduler_of(platform, range(50), max_runs=1))
    assert len(platform.begun) < 5


def deadline(secs: float) -> StopRules:
    return StopRules(failures=NO_FAILURE_STOPS, deadline_secs=secs)


def test_deadline_at_which_the_last_run_was_aborted_is_the_reason() -> None:
    """No job is left to be started; that one was cut short is said all the same."""
    platform = ScriptedPlatform()
    platform.aborts, platform.secs = {0}, {0: 40.0}
    with pytest.raises(DeadlinePassed):
        play(scheduler_of(platform, [0], stops=deadline(35.0)))


def test_deadline_that_cuts_nothing_short_is_no_reason() -> None:
    """The last run ended well while it passed: the batch is done."""
    platform = ScriptedPlatform()
    platform.secs = {0: 40.0}
    assert play(scheduler_of(platform, [0], stops=deadline(35.0))) == 40.0
    assert platform.collected.keys() == {"run0-1"}


def test_deadline_at_which_a_run_may_not_be_aborted_is_the_reason() -> None:
    """A run that is left as it is has not ended: the batch is not done."""
    platform = ScriptedPlatform()
    platform.leaves, platform.secs = {0}, {0: 40.0}
    with pytest.raises(DeadlinePassed):
        play(scheduler_of(platform, [0], stops=deadline(35.0)))


def test_run_that_was_aborted_without_a_deadline_stops_nothing() -> None:
    """A slow run that was aborted on its own is an outcome of its job."""
    platform = ScriptedPlatform()
    platform.aborts = {0}
    play(scheduler_of(platform, [0, 1], max_runs=1))
    assert platform.collected.keys() == {"run0-1", "run1-1"}
