from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from orchestrator.app.account.account_limits import ANY_ROOM
from orchestrator.app.batch.spending import count_starts, usage_of
from orchestrator.ledger.records import PoolStart, RunCost
from orchestrator.model.batches import PoolLimits
from orchestrator.model.ids import RunId
from orchestrator.scheduler.decide.budget import Budget
from orchestrator.scheduler.decide.limits import Claim, Limits
from orchestrator.scheduler.decide.usage import Usage
from tests.support.builders import NOON

HOUR = timedelta(hours=1)
NOW = 1000.0
ZERO, TENTH, HALF = Decimal(0), Decimal("0.1"), Decimal("0.5")


def budget_of(*costs: RunCost) -> Budget:
    """The budget at ten minutes past noon, by the platform's clock."""
    usage = usage_of(
        Limits(max_runs=9, max_cost_usd=Decimal(5)),
        costs,
        ANY_ROOM,
        settle_secs=120.0,
        platform_now=NOON + timedelta(minutes=10),
        now=NOW,
    )
    assert usage.budget is not None
    return usage.budget


def cost_of(cost: Decimal | None, *, ended: float = 0, asked: float | None = 0) -> RunCost:
    """A run with a reservation of half a dollar; times are minutes past noon."""
    return RunCost(
        run_id=RunId("run1"),
        cost_usd=cost,
        cost_at=None if asked is None else NOON + timedelta(minutes=asked),
        ended_at=NOON + timedelta(minutes=ended),
        reserved_usd=HALF,
    )


@pytest.mark.parametrize("cost", [ZERO, TENTH])
def test_cost_that_was_read_too_early_counts_as_the_reservation(cost: Decimal) -> None:
    """A late cost must not let a resume start more than the budget allows."""
    budget = budget_of(cost_of(cost, ended=9, asked=10))
    assert budget.spent_usd + budget.reserved_usd == HALF
    assert budget.next_due() == NOW + 60


@pytest.mark.parametrize("cost", [ZERO, TENTH])
def test_cost_that_was_read_late_enough_is_final(cost: Decimal) -> None:
    """Two minutes after the end, the cost is final, also if it is zero."""
    budget = budget_of(cost_of(cost, ended=0, asked=2))
    assert (budget.spent_usd, budget.reserved_usd) == (cost, ZERO)


def test_wait_for_a_cost_is_two_minutes_at_most() -> None:
    """For a run that ended in the future, by clocks that disagree, it is two minutes at most."""
    budget = budget_of(cost_of(TENTH, ended=600, asked=10))
    assert budget.next_due() == NOW + 120


def test_start_that_was_lost_counts_as_its_reservation() -> None:
    """The lost start may have a run that cannot be found."""
    lost = RunCost(run_id=None, cost_usd=None, cost_at=None, ended_at=None, reserved_usd=HALF)
    assert budget_of(lost).spent_usd == HALF


@pytest.mark.parametrize(
    ("start", "waits_secs"),
    [
        (PoolStart(pools=("shop",), intent_at=NOON + HOUR, platform_at=NOON), 31.0),
        (PoolStart(pools=("shop",), intent_at=NOON + HOUR, platform_at=None), 60.0),
        (PoolStart(pools=("shop",), intent_at=NOON - HOUR, platform_at=None), None),
        (PoolStart(pools=("other",), intent_at=NOON, platform_at=NOON), None),
    ],
    ids=["by-the-platform", "clock-was-turned-back", "long-ago", "other-pool"],
)
def test_starts_of_earlier_processes_count(start: PoolStart, waits_secs: float | None) -> None:
    """`starts_per_minute` holds across kills and resumes."""
    usage = Usage(Limits(max_runs=9, pools={"shop": PoolLimits(starts_per_minute=1)}))
    count_starts(usage, [start], platform_now=NOON + timedelta(seconds=30), wall=NOON, now=NOW)
    blocked = usage.blocked(Claim(memory_mbytes=1, pools=("shop",)), NOW)
    assert (None if blocked is None else blocked.until) == (
        None if waits_secs is None else NOW + waits_secs
    )
