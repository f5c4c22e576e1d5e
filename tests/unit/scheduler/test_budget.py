from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.ids import RunId
from orchestrator.scheduler.decide.budget import NOTHING, Budget, least_cap_in

ONE, TWO, THREE = Decimal(1), Decimal(2), Decimal(3)
RUN = RunId("run1")
SETTLE_SECS = 120.0


def budget_of(most: Decimal) -> Budget:
    return Budget(most, SETTLE_SECS)


def test_reservation_stays_until_the_cost_is_final() -> None:
    """The platform reports costs late: the cost at the end of a run is not final."""
    budget = budget_of(TWO)
    budget.reserve(TWO)
    budget.ended(RUN, TWO, Decimal("0.1"), now=0.0)
    assert budget.blocked(ONE) is not None
    assert budget.due(SETTLE_SECS - 0.1) == []
    assert budget.due(SETTLE_SECS) == [RUN]
    budget.set_final(RUN, Decimal("0.4"))
    assert (budget.spent_usd, budget.reserved_usd) == (Decimal("0.4"), NOTHING)
    assert budget.blocked(ONE) is None


def test_cost_of_zero_is_final_too() -> None:
    """A run that cost nothing releases its whole reservation."""
    budget = budget_of(TWO)
    budget.reserve(TWO)
    budget.ended(RUN, TWO, NOTHING, now=0.0)
    budget.set_final(RUN, NOTHING)
    assert (budget.spent_usd, budget.reserved_usd) == (NOTHING, NOTHING)


def test_run_that_costs_more_than_its_reservation_counts_at_once() -> None:
    """If the platform exceeds a cap, no start exceeds what is left of the budget."""
    budget = budget_of(THREE)
    budget.reserve(ONE)
    budget.ended(RUN, ONE, THREE, now=0.0)
    assert budget.spent_usd + budget.reserved_usd == THREE
    assert budget.blocked(ONE) is not None


def test_cost_that_is_never_known_counts_as_the_reservation() -> None:
    """A cost that nobody can know counts as the highest possible one."""
    budget = budget_of(THREE)
    budget.reserve(TWO)
    budget.ended(RUN, TWO, None, now=0.0)
    budget.set_final(RUN, None)
    assert budget.spent_usd == TWO


def test_lost_start_counts_as_its_reservation() -> None:
    """A lost start may have had a run; it counts as the highest possible cost."""
    budget = budget_of(THREE)
    budget.reserve(TWO)
    budget.lost(TWO)
    assert (budget.spent_usd, budget.reserved_usd) == (TWO, NOTHING)


def test_run_that_was_resurrected_is_paid_once() -> None:
    """The platform reports the total cost of a run, so the batch counts only what is new."""
    budget = budget_of(Decimal(9))
    budget.add_ended(RUN, TWO, ONE, final_at=0.0)
    budget.set_final(RUN, ONE)
    budget.reserve(TWO)
    assert (budget.spent_usd, budget.reserved_usd) == (ONE, TWO)
    budget.ended(RUN, TWO, Decimal("2.5"), now=0.0)
    assert (budget.spent_usd, budget.reserved_usd) == (Decimal("2.5"), Decimal("0.5"))
    budget.set_final(RUN, Decimal("2.5"))
    assert (budget.spent_usd, budget.reserved_usd) == (Decimal("2.5"), NOTHING)


def test_run_that_is_resurrected_before_its_cost_is_final_keeps_both_reservations() -> None:
    """Two attempts with one run have two reservations."""
    budget = budget_of(Decimal(9))
    for _ in range(2):
        budget.reserve(TWO)
        budget.ended(RUN, TWO, ONE, now=0.0)
    assert budget.spent_usd + budget.reserved_usd == 2 * TWO
    budget.set_final(RUN, THREE)
    assert (budget.spent_usd, budget.reserved_usd) == (THREE, NOTHING)


@pytest.mark.parametrize(
    ("final", "live", "helps"),
    [(NOTHING, NOTHING, True), (TWO, NOTHING, False), (NOTHING, TWO, False)],
    ids=["only-reservations", "money-is-spent", "a-run-is-live"],
)
def test_waiting_for_final_costs_helps_only_if_ended_runs_hold_reservations(
    final: Decimal, live: Decimal, helps: bool
) -> None:
    """To wait does not help for money that is spent, or that live runs may cost."""
    budget = budget_of(TWO)
    budget.reserve(TWO)
    budget.ended(RUN, TWO, final, now=0.0)
    budget.reserve(live)
    assert budget.blocked(ONE) is not None
    assert budget.final_costs_may_help(ONE) is helps


AMOUNTS = st.decimals(min_value="0.01", max_value=3, places=2)


@given(st.lists(st.tuples(AMOUNTS, st.decimals(min_value=0, max_value=1, places=2)), max_size=40))
def test_spent_and_reserved_never_exceed_the_budget(runs: list[tuple[Decimal, Decimal]]) -> None:
    """The limit holds for any cost of a run up to its reservation."""
    budget, going = budget_of(Decimal(5)), []
    for number, (most, share) in enumerate(runs):
        if budget.blocked(most) is None:
            budget.reserve(most)
            going.append((RunId(str(number)), most, (most * share).quantize(Decimal("0.01"))))
        elif going:
            run, reserved, cost = going.pop(0)
            budget.ended(run, reserved, NOTHING, now=0.0)
            assert budget.spent_usd + budget.reserved_usd <= budget.most_usd
            budget.set_final(run, cost)
        assert budget.spent_usd + budget.reserved_usd <= budget.most_usd


@pytest.mark.parametrize(
    ("message", "refused_usd", "least"),
    [
        ("the least is $0.50", None, "0.50"),
        ("$0.10 is below the least of $ 2", "0.10", "2"),
        ("it is too little", "0.10", "0.20"),
    ],
    ids=["first-amount", "amount-beyond-ours", "no-amount"],
)
def test_least_cap_of_an_actor_is_read_from_its_refusal(
    message: str, refused_usd: str | None, least: str
) -> None:
    """It is the amount above the refused one; without such an amount, twice the refused one."""
    refused = None if refused_usd is None else Decimal(refused_usd)
    assert least_cap_in(message, refused) == Decimal(least)
