"""Processes that die just before or after the items of a job become jobs."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ledger import Ledger, LedgerReader
from tests.simulation.conditions import conditions_of
from tests.simulation.mortal_process import Killed
from tests.simulation.simulated_batch import play

DEATHS = 6
"""In a batch, at the expansions alone; its last process lives to its end."""
CRASHES = 50
"""So many processes that the deaths at expansions are over before the last one."""
EXPAND: Any = Ledger.expand

SEEDS = list(islice((seed for seed in count() if conditions_of(seed).has_rows), 2))


def play_all(folder: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    for seed in SEEDS:
        die_at_expansions(monkeypatch, after=after)
        play(seed, folder / str(seed), crashes=CRASHES)


def die_at_expansions(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """The next processes that want to make jobs of items die before or after they have."""
    calls = count()

    def dying(ledger: Ledger, *given: Any, **more: Any) -> Any:
        call = next(calls)
        dies = call < DEATHS * 2 and call % 2 == 0
        if dies and not after:
            raise Killed
        made = EXPAND(ledger, *given, **more)
        if dies:
            raise Killed
        return made

    monkeypatch.setattr(Ledger, "expand", dying)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_items_become_jobs_once_when_processes_die_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """No item is lost and none becomes two jobs, whenever a process dies."""
    play_all(tmp_path, monkeypatch, after=after)


def test_resume_that_forgets_items_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A next process that does not look for sources without jobs loses their rows."""
    monkeypatch.setattr(LedgerReader, "unexpanded", lambda _reader: [])
    with pytest.raises(AssertionError, match="each row a job"):
        play_all(tmp_path, monkeypatch, after=False)


def test_expansion_that_is_recorded_before_its_jobs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two transactions, a death in between loses the rows of a source."""
    calls = count()

    def in_two_steps(ledger: Ledger, sweep: str, source: int, make: Any, **more: Any) -> Any:
        if next(calls) >= DEATHS:
            return EXPAND(ledger, sweep, source, make, **more)
        EXPAND(ledger, sweep, source, lambda _take_new, _place: [], **more)
        raise Killed

    monkeypatch.setattr(Ledger, "expand", in_two_steps)
    with pytest.raises(AssertionError, match="each row a job"):
        play(SEEDS[0], tmp_path, crashes=CRASHES)
