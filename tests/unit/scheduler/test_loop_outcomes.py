"""What the scheduler makes of how attempts end, with a driver whose attempts go as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

import anyio
import pytest

from orchestrator.errors import (
    ActorRefused,
    DeadlinePassed,
    NoRoom,
    PlanExhausted,
    PlanLimitReached,
    SecondCopy,
    TooManyFailures,
)
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import FailureLimit
from orchestrator.model.ids import Mark
from orchestrator.model.jobs import Demand, Target, TargetKind
from orchestrator.model.rules import Remedy
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.attempt import Driver, Next, Over
from orchestrator.scheduler.decide.dependencies import Needs
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.queue import Waiting, WaitingQueue
from orchestrator.scheduler.decide.retries import SETTLED, Verdict
from orchestrator.scheduler.decide.spares import Spares
from orchestrator.scheduler.decide.stops import FailureCount
from orchestrator.scheduler.follow import Ended
from orchestrator.scheduler.loop import MOST_ENDED, Scheduler, Stops
from tests.support.builders import NOON, make_job, make_run
from tests.support.virtual_time import run_virtual

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")
CLAIM = Claim(memory_mbytes=128, target=TARGET)
SUCCEEDED = Outcome(status=JobStatus.SUCCEEDED)
FAILED = Outcome(status=JobStatus.FAILED, error="it failed")
NO_FAILURE_STOPS = FailureCount(None, 1)

End = Ended | Next | Over | None


def succeed(attempt: Attempt) -> End:
    return Ended(attempt, make_run(f"run{attempt.job.seq}-{attempt.number}"))


def fail(attempt: Attempt) -> End:
    return Ended(attempt, make_run(f"run{attempt.job.seq}-{attempt.number}", status="FAILED"))


def refuse(attempt: Attempt) -> End:
    return Over(attempt=attempt, outcome=FAILED, run=None)


def postpone(delay_secs: float, **fields: Any) -> Callable[[Attempt], End]:
    """The job waits again for the same attempt."""

    def end(attempt: Attempt) -> End:
        return Next(job=attempt.job, number=attempt.number, delay_secs=delay_secs, **fields)

    return end


class ScriptedDriver:
    """
    Attempts that go as they are told; one of which nothing is told succeeds after ten seconds.

    Attributes:
        ends: by job, how its attempts end, one after the other; the last one again and again.
        secs: how long the attempts of a job take.
        collect_secs: how long it takes to collect what a run made.
        retries: by job, after how long a run that failed is followed by another one.
        begun: when which attempts began.
        collected: when what runs were collected.
    """

    def __init__(self, ends: dict[int, list[Callable[[Attempt], End]]] | None = None) -> None:
        self.ends = ends or {}
        self.secs: dict[int, float] = {}
        self.collect_secs = 0.0
        self.retries: dict[int, float] = {}
        self.stops_batch = False
        self.second_copy_after = float("inf")
        self.begun: list[tuple[int, float]] = []
        self.claims: dict[int, Claim] = {}
        self.collected: dict[str, float] = {}
        self.refused: list[int] = []
        self.skipped: list[int] = []
        self.aborted_at: float | None = None

    def at(self, seq: int) -> list[float]:
        """When the attempts of a job began."""
        return [at for job, at in self.begun if job == seq]

    async def intend(self, seq: int, number: int, claim: Claim) -> Attempt:
        self.claims[seq] = claim
        return attempt_of(seq, number)

    async def to_end(
        self, attempt: Attempt, *, has_started: Callable[[], None] = lambda: None, **_: object
    ) -> End:
        seq = attempt.job.seq
        self.begun.append((seq, anyio.current_time()))
        ends = self.ends.get(seq, [succeed])
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        if end in (succeed, fail):
            has_started()
            await anyio.sleep(self.secs.get(seq, 10.0))
        return end(attempt)

    def settles_at(self, _ended: Ended) -> float:
        return 0.0

    def foresee(self, ended: Ended) -> tuple[Outcome, Verdict | None]:
        if ended.run.status == "SUCCEEDED":
            return SUCCEEDED, SETTLED
        delay = self.retries.get(ended.attempt.job.seq)
        return FAILED, Verdict(delay_secs=delay, stops_batch=self.stops_batch)

    async def bring_home(self, ended: Ended) -> Over:
        await anyio.sleep(self.collect_secs)
        attempt, run = ended.attempt, ended.run
        self.collected[run.id] = anyio.current_time()
        if run.status == "SUCCEEDED":
            return Over(attempt=attempt, outcome=SUCCEEDED, run=run)
        delay, following = self.retries.pop(attempt.job.seq, None), None
        if delay is not None:
            following = Next(job=attempt.job, number=attempt.number + 1, delay_secs=delay)
        return Over(
            attempt=attempt,
            outcome=FAILED,
            run=run,
            next=following,
            stops_batch=self.stops_batch,
        )

    async def refuse(self, seqs: list[int], _reason: str) -> None:
        self.refused += seqs

    async def skip(self, seq: int, _reason: str) -> None:
        self.skipped.append(seq)

    async def watch_for_copies(self) -> None:
        await anyio.sleep(self.second_copy_after)
        raise SecondCopy("another process works on a copy")

    async def look_for_orphans(self) -> None:
        """There are none."""

    def give_up_waits(self) -> None:
        """What goes on is left to the grace."""

    def abort_runs(self, _reason: str) -> None:
        self.aborted_at = anyio.current_time()


def attempt_of(seq: int, number: int = 1, **fields: Any) -> Attempt:
    given = {"state": AttemptState.INTENT, **fields}
    return Attempt(
        job=make_job(seq),
        number=number,
        send=1,
        mark=Mark(f"m.{seq}.{number}.1"),
        intent_at=NOON,
        **given,
    )


def place(seq: int, claim: Claim = CLAIM) -> Waiting:
    return Waiting(rank=0, shortness=0.0, seq=seq, number=1, claim=claim)


def scheduler_of(
    driver: ScriptedDriver,
    jobs: Iterable[int],
    *,
    max_runs: int = 9,
    claim: Claim = CLAIM,
    usage: Usage | None = None,
    **given: Any,
) -> Scheduler:
    queue = WaitingQueue()
    for seq in jobs:
        queue.add(place(seq, claim), 0.0)

    def claim_of(_demand: Demand, _remedy: Remedy) -> Claim:
        return claim

    return Scheduler(
        driver=cast("Driver", driver),
        queue=queue,
        usage=usage or Usage(Limits(max_runs=max_runs)),
        claim_of=claim_of,
        spares=Spares(),
        chance=lambda: 0.5,
        stop_grace_secs=1,
        **given,
    )


def play(scheduler: Scheduler) -> float:
    """Runs a batch to its end; returns how long it took."""

    async def scenario() -> float:
        await scheduler.run()
        return anyio.current_time()

    return run_virtual(scenario)


def test_second_copy_at_work_stops_the_batch() -> None:
    """When another process starts runs of this batch, this one starts nothing more."""
    driver = ScriptedDriver()
    driver.second_copy_after = 25.0
    with pytest.raises(SecondCopy):
        play(scheduler_of(driver, range(9), max_runs=1))
    assert [at for _, at in driver.begun] == [0, 10, 20]


def test_job_waits_for_its_next_attempt_when_nothing_else_goes_on() -> None:
    """A batch is not over while a failed job waits for another try."""
    driver = ScriptedDriver({0: [fail, succeed]})
    driver.retries = {0: 100.0}
    play(scheduler_of(driver, [0]))
    assert driver.at(0) == [0, 110]
    assert driver.collected.keys() == {"run0-1", "run0-2"}


def test_next_attempt_begins_on_time_beside_a_long_run() -> None:
    """A retry that is due begins, though nothing else happens meanwhile."""
    driver = ScriptedDriver({0: [fail, succeed]})
    driver.retries = {0: 5.0}
    driver.secs = {1: 1000.0}
    play(scheduler_of(driver, [0, 1]))
    assert driver.at(0) == [0, 15]


def test_refused_start_ends_its_job_alone() -> None:
    """A job without a run is over; the others go on."""
    driver = ScriptedDriver({0: [refuse]})
    play(scheduler_of(driver, range(3), max_runs=1))
    assert driver.collected.keys() == {"run1-1", "run2-1"}


def test_run_that_ended_in_an_earlier_process_is_collected() -> None:
    """What the ledger holds as finished is downloaded, and not started again."""
    driver = ScriptedDriver()
    finished = attempt_of(0, state=AttemptState.FINISHED, run=make_run("before"))
    run_virtual(lambda: scheduler_of(driver, []).run([(finished, place(0))]))
    assert driver.collected.keys() == {"before"}
    assert driver.begun == []


def test_rule_that_stops_the_batch_does_so_before_downloads() -> None:
    """A run that fails under such a rule lets nothing more start, however long downloads take."""
    driver = ScriptedDriver({0: [fail]})
    driver.stops_batch = True
    driver.collect_secs = 500.0
    driver.secs = {1: 15.0}
    with pytest.raises(TooManyFailures, match="a rule stops the batch"):
        play(scheduler_of(driver, range(9), max_runs=2, stops=Stops(failures=NO_FAILURE_STOPS)))
    assert sorted({seq for seq, _ in driver.begun}) == [0, 1]


def test_job_starts_when_what_it_needs_has_succeeded() -> None:
    """It begins at the end of the job that it needs."""
    driver = ScriptedDriver()
    needs = Needs({("first",): [0]}, [(place(1), ("first",))])
    play(scheduler_of(driver, [0], needs=needs))
    assert (driver.at(1), driver.skipped) == ([10], [])


def test_jobs_are_skipped_whose_needs_failed() -> None:
    """A job that needs a failed one is skipped, and so is one that needs the skipped one."""
    driver = ScriptedDriver({0: [refuse]})
    needs = Needs(
        {("first",): [0], ("second",): [1]}, [(place(1), ("first",)), (place(2), ("second",))]
    )
    scheduler = scheduler_of(driver, [0], needs=needs)
    play(scheduler)
    assert driver.skipped == [1, 2]
    assert not scheduler.jobs_wait


def holding() -> tuple[Usage, Callable[[Attempt], End]]:
    """A usage whose Actor is held from the first refused start on, and that start."""
    usage = Usage(Limits(max_runs=1))

    def hold(attempt: Attempt) -> End:
        error = ActorRefused("You must rent it", status=403, error_type="actor-is-not-rented")
        for _ in range(2):
            usage.gate.refused(TARGET, error, is_resurrection=False)
        return refuse(attempt)

    return usage, hold


def test_held_actor_ends_jobs_that_wait_for_another_attempt() -> None:
    """Neither they nor those that were never tried are started once their Actor is held."""
    usage, hold = holding()
    driver = ScriptedDriver({0: [postpone(500.0)], 1: [hold]})
    took = play(scheduler_of(driver, range(4), usage=usage))
    assert sorted(driver.refused) == [0, 2, 3]
    assert took < 10


def test_jobs_are_skipped_whose_needs_were_refused_unsent() -> None:
    """A job of a held Actor that is not sent counts as failed for those that need it."""
    usage, hold = holding()
    driver = ScriptedDriver({0: [hold]})
    needs = Needs({("second",): [1]}, [(place(2), ("second",))])
    scheduler = scheduler_of(driver, [0, 1], usage=usage, needs=needs)
    play(scheduler)
    assert (driver.refused, driver.skipped) == ([1], [2])


def test_start_without_room_holds_the_others_back() -> None:
    """When the account is full, other starts wait too, and are tried one by one."""
    no_room = NoRoom("full", status=402, error_type="actor-memory-limit-exceeded")
    driver = ScriptedDriver({1: [postpone(1.0, refusal=no_room), succeed]})
    driver.secs = {0: 60.0}
    play(scheduler_of(driver, range(8), max_runs=2))
    first_second = [seq for seq, at in driver.begun if at < 1.0]
    assert first_second == [0, 1]


def test_plan_that_is_used_up_lets_runs_end_and_starts_no_more() -> None:
    """The batch says so at its end; what goes on is collected."""
    refusal = PlanLimitReached("no money left", status=402)
    driver = ScriptedDriver({1: [postpone(1.0, refusal=refusal)]})
    with pytest.raises(PlanExhausted, match="no money left"):
        play(scheduler_of(driver, range(9), max_runs=2))
    assert [seq for seq, _ in driver.begun] == [0, 1]
    assert driver.collected.keys() == {"run0-1"}


def test_floor_of_an_actor_raises_the_caps_of_its_waiting_jobs() -> None:
    """One refusal for too small a cap is enough: the others are sent with what is taken."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal("0.1"), caps_itself=False)
    driver = ScriptedDriver({0: [postpone(0.0, floor_usd=Decimal("0.5")), succeed]})
    play(scheduler_of(driver, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in driver.claims.values()} == {Decimal("0.5")}
    assert len(driver.at(0)) == 2


def test_floor_of_an_actor_leaves_larger_caps_alone() -> None:
    """What is reserved already is enough, and other Actors' jobs are as they were."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal(2), caps_itself=False)
    driver = ScriptedDriver({0: [postpone(0.0, floor_usd=Decimal("0.5")), succeed]})
    play(scheduler_of(driver, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in driver.claims.values()} == {Decimal(2)}


def test_deadline_aborts_what_goes_on_and_starts_no_more() -> None:
    """Runs that go on at the deadline are aborted, and jobs are left for another call."""
    driver = ScriptedDriver()
    stops = Stops(failures=NO_FAILURE_STOPS, deadline_secs=35.0)
    with pytest.raises(DeadlinePassed, match="35 s"):
        play(scheduler_of(driver, range(9), max_runs=1, stops=stops))
    assert driver.aborted_at == 35
    assert [at for _, at in driver.begun] == [0, 10, 20, 30]


def test_stop_for_failures_does_not_wait_for_later_attempts() -> None:
    """Once a batch stops, a job that waits for its next attempt is left to another call."""
    driver = ScriptedDriver({0: [fail], 1: [fail]})
    driver.retries = {0: 5000.0}
    driver.secs = {1: 20.0}
    stops = Stops(failures=FailureCount(FailureLimit(count=1), 2))
    with pytest.raises(TooManyFailures):
        play(scheduler_of(driver, [0, 1], stops=stops))
    assert driver.at(0) == [0]


def test_run_that_succeeds_shows_that_an_actor_works() -> None:
    """Five later failures alike do not pause an Actor of which one run has succeeded."""
    driver = ScriptedDriver({seq: [fail] for seq in range(1, 7)})
    took = play(scheduler_of(driver, range(8), max_runs=1))
    assert took == pytest.approx(80)


def test_runs_that_all_fail_alike_pause_their_actor() -> None:
    """After five failures alike and no success, the next job waits for a trial a minute later."""
    driver = ScriptedDriver({seq: [fail] for seq in range(5)})
    play(scheduler_of(driver, range(7), max_runs=1))
    assert driver.at(5) == [pytest.approx(110)]


def test_trial_of_a_paused_actor_whose_start_is_refused_is_followed_by_another() -> None:
    """No run came of it, so that it shows nothing: the next job is tried at once."""
    driver = ScriptedDriver({**{seq: [fail] for seq in range(5)}, 5: [refuse]})
    play(scheduler_of(driver, range(8), max_runs=1))
    assert driver.at(6) == [pytest.approx(110)]
    assert driver.collected.keys() >= {"run6-1", "run7-1"}


def test_starts_wait_while_too_many_ended_runs_wait_for_a_download() -> None:
    """Too much would be paid before it is judged; each free download lets one more run start."""
    driver = ScriptedDriver()
    driver.secs = dict.fromkeys(range(MOST_ENDED + 50), 0.5)
    driver.collect_secs = 1000.0
    play(scheduler_of(driver, range(MOST_ENDED + 50), max_runs=1, max_downloads=1))
    begun = [at for _, at in driver.begun]
    early = [at for at in begun if at < 1000.0]
    # One is being downloaded, MOST_ENDED wait.
    assert len(early) == MOST_ENDED + 1
    later = [at for at in begun if at >= 1000.0]
    assert later[:3] == [
        pytest.approx(1000.5, abs=1),
        pytest.approx(2000.5, abs=1),
        pytest.approx(3000.5, abs=1),
    ]
