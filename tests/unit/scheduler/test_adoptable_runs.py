from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.model.ids import Mark
from orchestrator.model.jobs import demand_of
from orchestrator.scheduler.decide.adoptable_runs import AdoptableRun, AdoptableRuns
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.usage import Usage
from tests.support.builders import make_job, make_run

CLAIM = Claim(memory_mbytes=512, reserve_usd=Decimal(2))
DEMAND = demand_of(make_job())
LIVE = make_run("theirs", status="RUNNING", finished_at=None)
PLACE = (0, 2)


def usage_of() -> Usage:
    return Usage(Limits(max_runs=1, max_memory_mbytes=1024), Budget(Decimal(10), 120.0))


def in_use(usage: Usage) -> tuple[int, int, Decimal]:
    """Runs, memory and money in use."""
    assert usage.budget is not None
    return usage.runs, usage.memory_mbytes, usage.budget.reserved_usd


def holding(usage: Usage) -> tuple[AdoptableRuns, AdoptableRun]:
    """A live adoptable run that holds its claim."""
    adoptable, added = AdoptableRuns(), list[AdoptableRun]()
    adoptable.hold_in(usage, lambda _demand: CLAIM)
    adoptable.added = lambda _place, found: added.append(found)
    adoptable.add(PLACE, Mark("m.0.2.1"), LIVE, DEMAND)
    return adoptable, added[0]


@pytest.mark.parametrize("is_early", [True, False])
def test_adoptable_run_holds_its_claim_from_the_moment_it_is_known(*, is_early: bool) -> None:
    """A live run that waits for its attempt counts like any other, also if found at the start."""
    usage, adoptable = usage_of(), AdoptableRuns()
    if not is_early:
        adoptable.hold_in(usage, lambda _demand: CLAIM)
    adoptable.add(PLACE, Mark("m.0.2.1"), LIVE, DEMAND)
    if is_early:
        adoptable.hold_in(usage, lambda _demand: CLAIM)
    assert in_use(usage) == (1, 512, Decimal(2))


def test_adoptable_run_holds_its_own_memory() -> None:
    """The claim uses the memory that the platform reports for the run, not that of the job."""
    usage, adoptable = usage_of(), AdoptableRuns()
    adoptable.hold_in(usage, lambda _demand: CLAIM)
    run = make_run("theirs", status="RUNNING", finished_at=None, memory_mbytes=1024)
    adoptable.add(PLACE, Mark("m.0.2.1"), run, DEMAND)
    assert usage.memory_mbytes == 1024


def test_adoptable_run_that_has_ended_holds_money_only() -> None:
    """Its slot and memory are free again; what it may have cost stays reserved."""
    usage, adoptable = usage_of(), AdoptableRuns()
    adoptable.hold_in(usage, lambda _demand: CLAIM)
    adoptable.add(PLACE, Mark("m.0.2.1"), make_run("theirs"), DEMAND)
    assert in_use(usage) == (0, 0, Decimal(2))


def test_adoptable_run_that_ends_releases_its_slot_once() -> None:
    """Its money stays reserved until its attempt takes it."""
    usage = usage_of()
    adoptable, found = holding(usage)
    adoptable.note_end(found)
    adoptable.note_end(found)
    assert in_use(usage) == (0, 0, Decimal(2))
    assert adoptable.hand_over(PLACE)
    assert in_use(usage) == (0, 0, Decimal(0))


def test_attempt_takes_an_adoptable_run_with_its_claim() -> None:
    """The attempt holds the claim from then on, and the finder does not abort the run as unused."""
    usage = usage_of()
    adoptable, _ = holding(usage)
    assert adoptable.hand_over(PLACE)
    assert (in_use(usage), adoptable.in_order()) == ((0, 0, Decimal(0)), [])
    assert adoptable.take(PLACE) is not None
    assert not adoptable.hand_over(PLACE)


def test_adoptable_run_that_is_being_aborted_holds_its_claim() -> None:
    """A run that no attempt takes holds its claim until it is released."""
    usage = usage_of()
    adoptable, found = holding(usage)
    assert adoptable.take(PLACE) is found
    assert in_use(usage) == (1, 512, Decimal(2))
    adoptable.release(found)
    adoptable.release(found)
    assert in_use(usage) == (0, 0, Decimal(0))
