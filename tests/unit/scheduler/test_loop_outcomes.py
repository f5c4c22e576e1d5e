"""What the scheduler does after each outcome of an attempt, by scripted outcomes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from orchestrator.errors import (
    ActorRefused,
    NoRoom,
)
from orchestrator.model.attempts import Attempt
from orchestrator.model.batches import PoolLimits
from orchestrator.model.runs import Run
from orchestrator.model.states import AttemptState, JobStatus
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.dependencies import Dependencies
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.start_gate import FIRST_PAUSE_SECS, UNCONFIRMED_JOBS
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.downloads import MOST_READY
from tests.support.builders import NOON, make_run
from tests.support.virtual_time import run_virtual
from tests.unit.scheduler.scripted_platform import (
    LATER,
    SEARCH_SECS,
    TARGET,
    TOO_LOW,
    ScriptedPlatform,
    Start,
    attempt_of,
    fail,
    place,
    play,
    postpone,
    refuse,
    scheduler_of,
    succeed,
)


def test_batch_waits_for_the_next_attempt_of_its_last_job() -> None:
    """A batch does not end while a failed job waits for its next attempt."""
    platform = ScriptedPlatform({0: [fail, succeed]})
    platform.retries = {0: 100.0}
    play(scheduler_of(platform, [0]))
    assert platform.at(0) == [0, 110]
    assert platform.collected.keys() == {"run0-1", "run0-2"}


def test_next_attempt_begins_on_time_beside_a_long_run() -> None:
    """A retry that is due begins on time, even if nothing else happens."""
    platform = ScriptedPlatform({0: [fail, succeed]})
    platform.retries = {0: 5.0}
    platform.secs = {1: 1000.0}
    play(scheduler_of(platform, [0, 1]))
    assert platform.at(0) == [0, 15]


def test_refused_start_ends_its_job_alone() -> None:
    """A job without a run is settled; the others continue."""
    platform = ScriptedPlatform({0: [refuse]})
    play(scheduler_of(platform, range(3), max_runs=1))
    assert platform.collected.keys() == {"run1-1", "run2-1"}


def test_run_that_ended_in_an_earlier_process_is_collected() -> None:
    """The run that the ledger has as finished is downloaded, and not started again."""
    platform = ScriptedPlatform()
    finished = attempt_of(0, state=AttemptState.FINISHED, run=make_run("before"))
    run_virtual(lambda: scheduler_of(platform, []).run([(finished, place(0))]))
    assert platform.collected == {"before": 0.0}
    assert platform.begun == []


class TimedPlatform(ScriptedPlatform):
    """A platform whose clock is known: it shows nine seconds after noon."""

    def platform_now(self) -> Any:
        return NOON + timedelta(seconds=9)

    async def ended_attempt(self, seq: int, _number: int) -> tuple[Attempt, None]:
        return attempt_of(seq, run=make_run("before")), None


def test_items_are_counted_by_clocks_that_show_whole_seconds() -> None:
    """An end that an earlier process read as 12:00:00 may have been nearly a second later."""
    platform = TimedPlatform()
    finished = attempt_of(0, state=AttemptState.FINISHED, run=make_run("before"), ended_at=NOON)
    scheduler = scheduler_of(platform, [], counts_settle_secs=10.0)
    run_virtual(lambda: scheduler.run([(finished, place(0))]))
    assert platform.collected == {"before": 2.0}


class PricedPlatform(ScriptedPlatform):
    """
    Reports the cost of runs, on request.

    Attributes:
        asked_at: the times of the requests.
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
        """Does nothing."""


def budget_of_one() -> Usage:
    """A budget of one dollar; costs are final after two minutes."""
    return Usage(Limits(max_runs=9), Budget(Decimal(1), 120.0))


COSTLY = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal("0.6"))


def test_job_that_waits_for_a_final_cost_starts_when_it_is_known() -> None:
    """The cost is requested once, as soon as it is final."""
    platform = PricedPlatform()
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


def test_job_starts_when_what_it_needs_has_succeeded() -> None:
    """It begins at the end of the job that it needs."""
    platform = ScriptedPlatform()
    needs = Dependencies({("first",): [0]}, [(place(1), ("first",))])
    play(scheduler_of(platform, [0], dependencies=needs))
    assert (platform.at(1), platform.skipped) == ([10], [])


def test_resumed_batch_begins_with_what_its_settled_jobs_allow() -> None:
    """A needed job may have ended in an earlier process, with success or not."""
    platform = ScriptedPlatform()
    needs = Dependencies(
        {("first",): [0], ("second",): [1]},
        [(place(2), ("first",)), (place(3), ("second",))],
        {0: JobStatus.SUCCEEDED, 1: JobStatus.FAILED},
    )
    play(scheduler_of(platform, [], dependencies=needs))
    assert (platform.at(2), platform.skipped) == ([0], [3])


def test_jobs_that_need_a_failed_job_are_skipped() -> None:
    """A job that needs a failed or a skipped job is skipped."""
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


def test_jobs_of_a_held_actor_that_wait_for_an_attempt_end() -> None:
    """When their Actor is held, neither these jobs nor jobs without an attempt start."""
    usage, hold = holding()
    platform = ScriptedPlatform({0: [postpone(LATER)], 1: [hold]})
    took = play(scheduler_of(platform, range(4), usage=usage))
    assert sorted(platform.refused) == [0, 2, 3]
    assert took < 10


def test_jobs_that_need_a_job_of_a_held_actor_are_skipped() -> None:
    """A job of a held Actor that is not sent counts as failed for the jobs that need it."""
    usage, hold = holding()
    platform = ScriptedPlatform({0: [hold]})
    needs = Dependencies({("second",): [1]}, [(place(2), ("second",))])
    scheduler = scheduler_of(platform, [0, 1], usage=usage, dependencies=needs)
    play(scheduler)
    assert (platform.refused, platform.skipped) == ([1], [2])


def test_start_without_room_makes_the_others_wait() -> None:
    """When the account is full, other starts wait too, and go one by one."""
    no_room = NoRoom("full", status=402, error_type="actor-memory-limit-exceeded")
    platform = ScriptedPlatform({1: [postpone(no_room), succeed]})
    platform.secs = {0: 60.0}
    play(scheduler_of(platform, range(8), max_runs=2))
    first_second = [seq for seq, at in platform.begun if at < 1.0]
    assert first_second == [0, 1]


def test_smallest_cap_of_an_actor_raises_the_caps_of_its_waiting_jobs() -> None:
    """After one refusal, the other jobs are sent with the smallest cap that the Actor accepts."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal("0.1"), caps_itself=False)
    platform = ScriptedPlatform({0: [postpone(TOO_LOW), succeed]})
    play(scheduler_of(platform, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in platform.claims.values()} == {Decimal("0.5")}
    assert len(platform.at(0)) == 2


def test_smallest_cap_of_an_actor_leaves_larger_caps_alone() -> None:
    """Caps that are large enough, and those of other Actors, stay the same."""
    claim = Claim(memory_mbytes=128, target=TARGET, reserve_usd=Decimal(2), caps_itself=False)
    platform = ScriptedPlatform({0: [postpone(TOO_LOW), succeed]})
    play(scheduler_of(platform, range(3), max_runs=1, claim=claim))
    assert {claim.reserve_usd for claim in platform.claims.values()} == {Decimal(2)}


def test_run_that_succeeds_shows_that_an_actor_works() -> None:
    """Five equal failures do not pause an Actor that has had a success."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(1, 7)})
    took = play(scheduler_of(platform, range(8), max_runs=1))
    assert took == pytest.approx(80)


def test_runs_that_fail_in_the_same_way_pause_their_actor() -> None:
    """After five equal failures and no success, the next job waits a minute, then is a trial."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(5)})
    play(scheduler_of(platform, range(7), max_runs=1))
    assert platform.at(5) == [pytest.approx(110)]


def test_refused_trial_of_a_paused_actor_is_followed_by_another() -> None:
    """Such a trial has no run and shows nothing: the next job is tried at once."""
    platform = ScriptedPlatform({**{seq: [fail] for seq in range(5)}, 5: [refuse]})
    play(scheduler_of(platform, range(8), max_runs=1))
    assert platform.at(6) == [pytest.approx(110)]
    assert platform.collected.keys() >= {"run6-1", "run7-1"}


def test_trial_of_a_paused_actor_whose_start_was_lost_is_sent_again() -> None:
    """It does not wait for its own result: the search has shown that there is no run."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(5)})
    platform.resends = {5}
    play(scheduler_of(platform, range(8), max_runs=1))
    assert platform.at(5) == [pytest.approx(110 + SEARCH_SECS)]
    assert platform.collected.keys() >= {"run5-1", "run6-1", "run7-1"}


def test_trial_that_succeeds_wakes_the_others_at_once() -> None:
    """They do not wait for the end of a long run, which is all that happens later."""
    platform = ScriptedPlatform({seq: [fail] for seq in range(1, 6)})
    platform.secs = {0: 1000.0}
    play(scheduler_of(platform, range(9), max_runs=2))
    assert platform.at(6) == [pytest.approx(110)]
    assert platform.at(7) == [pytest.approx(120)]


def test_start_that_waits_for_its_pool_begins_on_time_beside_a_long_run() -> None:
    """The rate of the pool lets it start, although no run ends then."""
    usage = Usage(Limits(max_runs=2, pools={"shop": PoolLimits(starts_per_minute=3)}))
    platform = ScriptedPlatform()
    platform.secs = {0: 1000.0, 1: 1.0, 2: 1.0}
    claim = Claim(memory_mbytes=128, target=TARGET, pools=("shop",))
    play(scheduler_of(platform, range(4), usage=usage, claim=claim))
    assert platform.at(3) == [pytest.approx(60, abs=1)]


def test_accepted_start_ends_the_pause_of_all_starts_at_once() -> None:
    """After a gateway has lost the answers, the others do not wait for the end of the first run."""
    usage = Usage(Limits(max_runs=9))

    def accept(attempt: Attempt) -> Run:
        usage.gate.accepted(TARGET)
        return succeed(attempt)

    for seq in range(UNCONFIRMED_JOBS):
        usage.gate.answer_lost(seq, "502 of a gateway", 0.0)
    platform = ScriptedPlatform({seq: [accept] for seq in range(4)})
    platform.secs = dict.fromkeys(range(4), 1000.0)
    play(scheduler_of(platform, range(4), usage=usage))
    assert [at for _, at in platform.begun] == [pytest.approx(FIRST_PAUSE_SECS)] * 4


def test_accepted_trial_for_more_room_is_followed_at_once() -> None:
    """An account that has room again is filled by one start after the other, without pauses."""
    no_room = NoRoom("full", status=402, error_type="concurrent-runs-limit-exceeded")
    platform = ScriptedPlatform({seq: [postpone(no_room), succeed] for seq in range(2, 6)})
    platform.secs = dict.fromkeys(range(6), 1000.0)
    play(scheduler_of(platform, range(6)))
    assert [platform.at(seq)[1] for seq in range(2, 6)] == [pytest.approx(2, abs=1)] * 4


def test_starts_wait_while_too_many_ended_runs_wait_for_a_download() -> None:
    """This limits what is paid before it is checked; each download that ends allows one start."""
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


def test_downloads_obey_their_own_limit() -> None:
    """However many runs have ended, at most so many are downloaded at once, until the last one."""
    platform = ScriptedPlatform()
    platform.collect_secs = 35.0
    play(scheduler_of(platform, range(30), max_runs=5, max_downloads=3))
    assert platform.most_collecting == 3
    assert len(platform.collected) == 30
