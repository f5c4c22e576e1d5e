"""When the scheduler stops a batch, and what it does with the runs that are live then."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import pytest

from orchestrator.errors import (
    DeadlinePassed,
    NotAuthorized,
    PlanExhausted,
    PlanLimitReached,
    SecondCopy,
    TooManyFailures,
    TransientError,
)
from orchestrator.model.batches import FailureLimit
from orchestrator.scheduler.decide.stops import FailureCount, StopRules
from orchestrator.scheduler.timings import TIMINGS
from tests.support.virtual_time import run_virtual
from tests.unit.scheduler.scripted_platform import (
    NO_FAILURE_STOPS,
    ScriptedPlatform,
    deadline,
    fail,
    play,
    postpone,
    scheduler_of,
)
from tests.unit.scheduler.test_loop_outcomes import PricedPlatform


def test_second_copy_of_a_batch_stops_it() -> None:
    """When another process starts runs of this batch, this one starts no more."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    with pytest.raises(SecondCopy):
        play(scheduler_of(platform, range(9), max_runs=1))
    assert [at for _, at in platform.begun] == [0, 10, 20]


def test_stopped_batch_waits_a_few_seconds_for_work_in_flight() -> None:
    """Starts and downloads in flight may end; six seconds later the batch ends."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    platform.secs = {0: 1000.0}
    scheduler = scheduler_of(platform, [0], timings=TIMINGS)

    async def scenario() -> float:
        with pytest.raises(SecondCopy):
            await scheduler.run()
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(31.0)


def test_stopped_batch_ends_when_nothing_is_in_flight() -> None:
    """When nothing is in flight any more, the batch does not wait for the rest of the grace."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    scheduler = scheduler_of(platform, range(9), max_runs=1, timings=TIMINGS)

    async def scenario() -> float:
        with pytest.raises(SecondCopy):
            await scheduler.run()
        return anyio.current_time()

    assert run_virtual(scenario) == pytest.approx(30.0)


def test_token_that_is_refused_during_a_search_stops_the_batch() -> None:
    """A token that is revoked during the batch is not a bug: the batch stops with the refusal."""
    platform = ScriptedPlatform()
    platform.second_copy_after = 25.0
    platform.search_error = NotAuthorized("revoked", status=401)
    with pytest.raises(NotAuthorized):
        play(scheduler_of(platform, range(9), max_runs=1))
    assert [at for _, at in platform.begun] == [0, 10, 20]


@pytest.mark.parametrize(("answers_after", "is_away"), [(15.0, False), (25.0, True)])
def test_platform_that_does_not_answer_for_20_seconds_is_away(
    answers_after: float, *, is_away: bool
) -> None:
    """If only the results of one run cannot be read, its job ends and the batch continues."""
    platform = PricedPlatform(answers_after)
    platform.collecting_fails_with = TransientError("silent")
    with pytest.raises(TransientError) if is_away else nullcontext():
        play(scheduler_of(platform, [0]))
    assert len(platform.asked_at) == 1


def test_rule_that_stops_the_batch_does_so_before_downloads() -> None:
    """A run that fails under such a rule lets no further job start, however long downloads take."""
    platform = ScriptedPlatform({0: [fail]})
    platform.stops_batch = True
    platform.collect_secs = 500.0
    platform.secs = {1: 15.0}
    with pytest.raises(TooManyFailures, match="a rule stops the batch"):
        play(
            scheduler_of(platform, range(9), max_runs=2, stops=StopRules(failures=NO_FAILURE_STOPS))
        )
    assert sorted({seq for seq, _ in platform.begun}) == [0, 1]


def test_used_up_plan_ends_the_batch_after_its_live_runs() -> None:
    """The batch ends with that reason; live runs are collected."""
    refusal = PlanLimitReached("no money left", status=402)
    platform = ScriptedPlatform({1: [postpone(refusal)]})
    with pytest.raises(PlanExhausted, match="no money left"):
        play(scheduler_of(platform, range(9), max_runs=2))
    assert [seq for seq, _ in platform.begun] == [0, 1]
    assert platform.collected.keys() == {"run0-1"}


def test_deadline_aborts_live_runs_and_starts_no_more() -> None:
    """Runs that are live at the deadline are aborted; other jobs stay for a later command."""
    platform = ScriptedPlatform()
    stops = StopRules(failures=NO_FAILURE_STOPS, deadline_secs=35.0)
    with pytest.raises(DeadlinePassed, match="35 s"):
        play(scheduler_of(platform, range(9), max_runs=1, stops=stops))
    assert platform.aborted_at == 35
    assert [at for _, at in platform.begun] == [0, 10, 20, 30]


def test_stop_for_failures_does_not_wait_for_later_attempts() -> None:
    """When a batch stops, a job that waits for its next attempt stays for a later command."""
    platform = ScriptedPlatform({0: [fail], 1: [fail]})
    platform.retries = {0: 5000.0}
    platform.secs = {1: 20.0}
    stops = StopRules(failures=FailureCount(FailureLimit(count=1), 2))
    with pytest.raises(TooManyFailures):
        play(scheduler_of(platform, [0, 1], stops=stops))
    assert platform.at(0) == [0]


def test_error_that_concerns_the_whole_batch_stops_it() -> None:
    """A token that is revoked during downloads ends the batch with the platform's message."""
    platform = ScriptedPlatform()
    platform.collecting_fails_with = NotAuthorized("no token", status=401)
    with pytest.raises(NotAuthorized, match="no token"):
        play(scheduler_of(platform, range(50), max_runs=1))
    assert len(platform.begun) < 5


def test_deadline_that_aborts_the_last_run_is_the_reason() -> None:
    """Every job has started, but the batch still reports that a run was cut short."""
    platform = ScriptedPlatform()
    platform.aborts, platform.secs = {0}, {0: 40.0}
    with pytest.raises(DeadlinePassed):
        play(scheduler_of(platform, [0], stops=deadline(35.0)))


def test_deadline_that_aborts_nothing_is_not_the_reason() -> None:
    """The last run ended by itself while the deadline passed: the batch is done."""
    platform = ScriptedPlatform()
    platform.secs = {0: 40.0}
    assert play(scheduler_of(platform, [0], stops=deadline(35.0))) == 40.0
    assert platform.collected.keys() == {"run0-1"}


def test_deadline_at_which_a_run_cannot_be_aborted_is_the_reason() -> None:
    """A run that stays live has not ended: the batch is not done."""
    platform = ScriptedPlatform()
    platform.leaves, platform.secs = {0}, {0: 40.0}
    with pytest.raises(DeadlinePassed):
        play(scheduler_of(platform, [0], stops=deadline(35.0)))


def test_slow_run_that_was_aborted_does_not_stop_the_batch() -> None:
    """A slow run that was aborted alone is an outcome of its job."""
    platform = ScriptedPlatform()
    platform.aborts = {0}
    play(scheduler_of(platform, [0, 1], max_runs=1))
    assert platform.collected.keys() == {"run0-1", "run1-1"}
