"""Mistakes of processes that share a batch: each is planted, and the shared nights must find it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.ledger import Ledger
from orchestrator.model.attempts import Attempt
from orchestrator.model.runs import Run
from orchestrator.scheduler.lost_start import LostStartSearch
from orchestrator.scheduler.peers import Peers
from tests.simulation import claimed_jobs, several_controllers, shared_ledger
from tests.simulation.held_process import HeldLife
from tests.simulation.several_controllers import play_shared
from tests.simulation.test_planted_bugs import words_of

SEEDS = 40


def first_failure(
    folder: Path, patch: pytest.MonkeyPatch, *, is_stopped: bool = False, finder: int = 0
) -> str:
    """
    Plays nights until one fails; returns its message.

    Args:
        finder: a seed that finds the mistake soon; it is played first.
    """
    for seed in dict.fromkeys([finder, *range(SEEDS)]):
        home = folder / str(seed)
        home.mkdir()
        try:
            play_shared(seed, home, patch, is_stopped=is_stopped)
        except BaseException as error:  # noqa: BLE001 - any error is a failed simulation
            return words_of(error)
    return "no simulation failed"


def test_shared_nights_find_the_naive_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start without an answer is sent again as soon as one look shows no run with its mark."""

    async def look_once(self: LostStartSearch, attempt: Attempt, _: float | None) -> Run | None:
        return (await self.read(attempt)).run

    monkeypatch.setattr(LostStartSearch, "find", look_once)
    assert "one run per attempt" in first_failure(tmp_path, monkeypatch, finder=3)


def test_shared_nights_find_a_lease_that_nobody_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has slept sends the start that it was about to send."""

    async def no_lease(self: Ledger, _secs: float) -> None:
        """Waits for nothing."""

    def stop_after_an_intent(life: HeldLife, chance: random.Random) -> float:
        life.stops_secs, life.intents_left = 200.0, chance.randint(1, 3)
        return life.stops_secs

    # Otherwise few processes sleep at this one line for longer than their leases.
    monkeypatch.setattr(several_controllers, "plan_stop", stop_after_an_intent)
    monkeypatch.setattr(Ledger, "hold_lease", no_lease)
    assert "one run per attempt" in first_failure(tmp_path, monkeypatch, finder=57)


def test_shared_nights_find_a_process_that_is_not_fenced_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose attempts were taken writes on."""
    text = shared_ledger.statement("note_commit").replace("AND is_fenced = 0", "")
    monkeypatch.setitem(shared_ledger.OTHERWISE, "note_commit", text)
    shared_ledger.statement.cache_clear()
    found = first_failure(tmp_path, monkeypatch, finder=24)
    shared_ledger.statement.cache_clear()
    assert found != "no simulation failed"


def test_shared_nights_find_limits_of_each_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process keeps to the limits by itself, and nobody adds them up."""
    monkeypatch.setattr(claimed_jobs, "kept_by", lambda _claims, _wanted: None)
    assert "limits: " in first_failure(tmp_path, monkeypatch)


def test_shared_nights_find_attempts_of_the_dead_that_nobody_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that dies was doing is left undone."""

    async def nothing(_self: Ledger) -> list[Attempt]:
        """Steals nothing."""
        return []

    monkeypatch.setattr(Ledger, "steal", nothing)
    assert "no wait is too long" in first_failure(tmp_path, monkeypatch, finder=6)


def test_shared_nights_find_money_that_nobody_frees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process gives up while costs that would free its money are still to come."""

    async def no_costs(_self: Peers, _scheduler: object) -> bool:
        """Asks for nothing."""
        return False

    monkeypatch.setattr(Peers, "_free_money", no_costs)
    found = first_failure(tmp_path, monkeypatch, finder=26)
    assert "no process stops early: BudgetExhausted" in found


def test_stopped_nights_find_a_batch_that_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that comes late takes a batch that was stopped for one that was interrupted."""
    anew = (
        "UPDATE batch SET state = 'open', halt_kind = NULL, stop_kind = NULL, completed_at = NULL"
    )
    monkeypatch.setitem(shared_ledger.OTHERWISE, "keep_stopped", anew)
    shared_ledger.statement.cache_clear()
    found = first_failure(tmp_path, monkeypatch, is_stopped=True, finder=8)
    shared_ledger.statement.cache_clear()
    assert "a stopped batch stays stopped" in found


def test_stopped_nights_find_runs_that_nobody_aborts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that closes the batch leaves the runs of one that has died."""

    async def nothing(_self: Ledger) -> bool:
        """Leaves all attempts of others."""
        return False

    monkeypatch.setattr(Ledger, "has_left_attempts", nothing)
    assert "a stopped batch leaves no run" in first_failure(
        tmp_path, monkeypatch, is_stopped=True, finder=2
    )
