from __future__ import annotations

from decimal import Decimal

import pytest

from orchestrator.model.ids import Mark
from orchestrator.model.jobs import demand_of
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.limits import Claim, Limits, Usage
from orchestrator.scheduler.decide.spares import Spare, Spares
from tests.support.builders import make_job, make_run

CLAIM = Claim(memory_mbytes=512, reserve_usd=Decimal(2))
DEMAND = demand_of(make_job())
LIVE = make_run("theirs", status="RUNNING", finished_at=None)
PLACE = (0, 2)


def usage_of() -> Usage:
    return Usage(Limits(max_runs=1, max_memory_mbytes=1024), Budget(Decimal(10), 120.0))


def in_use(usage: Usage) -> tuple[int, int, Decimal]:
    """Runs, memory and money."""
    assert usage.budget is not None
    return usage.runs, usage.memory_mbytes, usage.budget.reserved_usd


def holding(usage: Usage) -> tuple[Spares, Spare]:
    """A live spare run that holds its share."""
    spares, found = Spares(), []
    spares.hold_in(usage, lambda _demand: CLAIM)
    spares.added = lambda _place, spare: found.append(spare)
    spares.add(PLACE, Mark("m.0.2.1"), LIVE, DEMAND)
    return spares, found[0]


@pytest.mark.parametrize("is_early", [True, False])
def test_spare_run_holds_its_share_from_the_moment_it_is_known(*, is_early: bool) -> None:
    """A live run that waits for its attempt counts like any other, also if found at the start."""
    usage, spares = usage_of(), Spares()
    if not is_early:
        spares.hold_in(usage, lambda _demand: CLAIM)
    spares.add(PLACE, Mark("m.0.2.1"), LIVE, DEMAND)
    if is_early:
        spares.hold_in(usage, lambda _demand: CLAIM)
    assert in_use(usage) == (1, 512, Decimal(2))


def test_spare_run_holds_the_memory_that_it_has() -> None:
    """What the platform says of the run's memory counts, not what its job asks for."""
    usage, spares = usage_of(), Spares()
    spares.hold_in(usage, lambda _demand: CLAIM)
    run = make_run("theirs", status="RUNNING", finished_at=None, memory_mbytes=1024)
    spares.add(PLACE, Mark("m.0.2.1"), run, DEMAND)
    assert usage.memory_mbytes == 1024


def test_spare_run_that_has_ended_holds_money_only() -> None:
    """Its room is free again; what it may have cost is not."""
    usage, spares = usage_of(), Spares()
    spares.hold_in(usage, lambda _demand: CLAIM)
    spares.add(PLACE, Mark("m.0.2.1"), make_run("theirs"), DEMAND)
    assert in_use(usage) == (0, 0, Decimal(2))


def test_spare_run_that_ends_gives_its_room_back_once() -> None:
    """Its money stays reserved until its attempt takes it."""
    usage = usage_of()
    spares, spare = holding(usage)
    spares.note_end(spare)
    spares.note_end(spare)
    assert in_use(usage) == (0, 0, Decimal(2))
    assert spares.hand_over(PLACE)
    assert in_use(usage) == (0, 0, Decimal(0))


def test_spare_run_is_handed_over_with_all_that_it_holds() -> None:
    """The attempt holds the share from then on, and the run is not ended as one that is left."""
    usage = usage_of()
    spares, _ = holding(usage)
    assert spares.hand_over(PLACE)
    assert (in_use(usage), spares.in_order()) == ((0, 0, Decimal(0)), [])
    assert spares.take(PLACE) is not None
    assert not spares.hand_over(PLACE)


def test_spare_run_that_is_being_aborted_holds_its_share() -> None:
    """A run that no attempt takes holds its share until it is released."""
    usage = usage_of()
    spares, spare = holding(usage)
    assert spares.take(PLACE) is spare
    assert in_use(usage) == (1, 512, Decimal(2))
    spares.release(spare)
    spares.release(spare)
    assert in_use(usage) == (0, 0, Decimal(0))
