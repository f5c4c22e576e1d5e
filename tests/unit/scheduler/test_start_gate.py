from __future__ import annotations

import pytest

from orchestrator.errors import ActorRefused, InputRejected, NotFound, PermanentError
from orchestrator.model.jobs import Target, TargetKind
from orchestrator.scheduler.decide.start_gate import Breaker, Gate, LostAnswers, RepeatCount

TARGET = Target(kind=TargetKind.ACTOR, id="me/actor")
OTHER = Target(kind=TargetKind.ACTOR, id="me/other")


def refusal(kind: str, error: type[PermanentError] = ActorRefused) -> PermanentError:
    return error("You must rent it", status=403, error_type=kind)


def test_actor_that_refuses_two_starts_in_the_same_way_is_held() -> None:
    """After two refusals of one type, no start of that Actor is sent; other Actors continue."""
    gate = Gate()
    gate.refused(TARGET, refusal("actor-is-not-rented"), is_resurrection=False)
    assert gate.blocked(TARGET, 0.0) is None
    gate.refused(TARGET, refusal("actor-is-not-rented"), is_resurrection=False)
    assert "You must rent it" in gate.breaker.held[TARGET]
    assert gate.blocked(TARGET, 0.0) is not None
    assert gate.blocked(OTHER, 0.0) is None


def test_actor_is_not_held_by_refusals_that_differ() -> None:
    """Another type, or an accepted start in between, resets the count."""
    gate = Gate()
    gate.refused(TARGET, refusal("actor-is-not-rented"), is_resurrection=False)
    gate.refused(TARGET, refusal("actor-disabled"), is_resurrection=False)
    gate.accepted(TARGET)
    gate.refused(TARGET, refusal("actor-disabled"), is_resurrection=False)
    assert not gate.breaker.held


@pytest.mark.parametrize(
    ("error", "is_resurrection"),
    [(InputRejected, False), (PermanentError, False), (NotFound, True)],
    ids=["input", "unknown", "run-is-gone"],
)
def test_actor_is_not_held_by_an_error_of_one_job(
    error: type[PermanentError], is_resurrection: bool
) -> None:
    """A refused input, or a run that does not exist, says nothing about other jobs."""
    gate = Gate()
    for _ in range(9):
        gate.refused(TARGET, refusal("invalid-input", error), is_resurrection=is_resurrection)
    assert not gate.breaker.held


def failing(breaker: Breaker, *kinds: str, now: float = 0.0) -> None:
    for seq, kind in enumerate(kinds):
        breaker.failed(TARGET, (seq, 1), kind, f"run {seq}: {kind}", now)


def try_one(breaker: Breaker, seq: int, now: float) -> None:
    assert breaker.blocked(TARGET, now) is None
    breaker.take(TARGET)
    breaker.begins(TARGET, seq)


def test_actor_whose_first_runs_fail_in_the_same_way_is_paused() -> None:
    """After five equal failures its jobs wait a minute; then exactly one is tried."""
    breaker = Breaker()
    failing(breaker, *["no"] * 5)
    paused = breaker.blocked(TARGET, 59.0)
    assert paused is not None
    assert paused.until == 60.0
    assert breaker.blocked(OTHER, 59.0) is None
    try_one(breaker, 9, 60.0)
    paused = breaker.blocked(TARGET, 61.0)
    assert paused is not None
    assert paused.until is None


@pytest.mark.parametrize("kinds", [["no"] * 4, ["no"] * 2 + ["timeout"] + ["no"] * 9])
def test_actor_that_fails_in_different_ways_is_not_paused(kinds: list[str]) -> None:
    """Fewer failures, or another kind among the first five, do not show that it is broken."""
    breaker = Breaker()
    failing(breaker, *kinds)
    assert breaker.blocked(TARGET, 0.0) is None


def test_actor_continues_when_its_trial_succeeds() -> None:
    """One success lets all jobs of a paused Actor start, and it is not paused again."""
    breaker = Breaker()
    failing(breaker, *["no"] * 5)
    try_one(breaker, 9, 60.0)
    breaker.succeeded(TARGET)
    failing(breaker, *["no"] * 9, now=70.0)
    assert breaker.blocked(TARGET, 70.0) is None


def test_actor_is_held_after_three_trials() -> None:
    """It is tried after 60, 120 and 240 seconds; if all fail, its other jobs fail too."""
    breaker = Breaker()
    failing(breaker, *["no"] * 5)
    now = 60.0
    for seq, pause in ((10, 120.0), (11, 240.0)):
        try_one(breaker, seq, now)
        breaker.failed(TARGET, (3, 1), "no", "began before the pause", now + 1)
        breaker.failed(TARGET, (seq, 1), "no", "no", now + 10)
        paused = breaker.blocked(TARGET, now + 10)
        assert paused is not None
        assert paused.until == now + 10 + pause
        now = paused.until
    try_one(breaker, 12, now)
    breaker.failed(TARGET, (12, 1), "no", "no key", now + 10)
    assert "no key" in breaker.held[TARGET]


def test_trial_without_a_run_is_followed_by_another() -> None:
    """A trial whose start was refused or postponed does not block the Actor forever."""
    breaker = Breaker()
    failing(breaker, *["no"] * 5)
    try_one(breaker, 9, 60.0)
    breaker.not_started(TARGET, 8)
    assert breaker.blocked(TARGET, 61.0) is not None
    breaker.not_started(TARGET, 9)
    assert breaker.blocked(TARGET, 61.0) is None


def test_starts_pause_when_five_jobs_lose_answers_in_the_same_way() -> None:
    """A gateway that answers for the platform stops all starts; one is tried at a time."""
    doubts = LostAnswers()
    for seq in (0, 1, 2, 3, 3):
        doubts.add(seq, "HTML page", 10.0)
    assert doubts.blocked(10.0) is None
    doubts.add(4, "HTML page", 10.0)
    paused = doubts.blocked(10.0)
    assert paused is not None
    assert (paused.until, "HTML page" in paused.reason) == (15.0, True)
    assert doubts.blocked(15.0) is None
    doubts.take()
    paused = doubts.blocked(16.0)
    assert paused is not None
    assert paused.until is None
    doubts.add(0, "HTML page", 20.0)
    paused = doubts.blocked(20.0)
    assert paused is not None
    assert (paused.until, doubts.since) == (30.0, 10.0)


def test_accepted_start_ends_the_pause_of_all_starts() -> None:
    """When the platform accepts one start, all others may be sent and the count is zero."""
    doubts = LostAnswers()
    for seq in range(5):
        doubts.add(seq, "HTML page", 0.0)
    doubts.accept()
    assert (doubts.blocked(0.0), doubts.since) == (None, None)
    for seq in range(4):
        doubts.add(seq, "HTML page", 1.0)
    assert doubts.blocked(1.0) is None


def test_answers_lost_in_different_ways_pause_nothing() -> None:
    """Only equal errors are counted together; numbers in the messages do not matter."""
    doubts = LostAnswers()
    for seq in range(9):
        doubts.add(seq, "reset" if seq % 2 else "silent", 0.0)
        if seq == 7:
            assert doubts.blocked(0.0) is None
    assert doubts.blocked(0.0) is not None


def test_tally_counts_only_errors_that_other_jobs_did_not_have() -> None:
    """A job's lost answers count if, between them, starts of other jobs were accepted."""
    tally = RepeatCount()
    assert [tally.add("reset by 10.0.0.1", accepted) for accepted in (0, 0, 3, 3)] == [1, 1, 2, 2]
    assert tally.add("reset by 10.0.0.2", 4) == 3
    assert tally.add("silent", 5) == 1


def test_trial_of_a_paused_actor_makes_its_other_jobs_wait() -> None:
    """From the moment it is taken, no second job starts."""
    gate = Gate()
    failing(gate.breaker, *["exit 1"] * 5)
    assert gate.blocked(TARGET, 100.0) is None
    gate.take(TARGET)
    paused = gate.blocked(TARGET, 100.0)
    assert paused is not None
    assert paused.until is None
