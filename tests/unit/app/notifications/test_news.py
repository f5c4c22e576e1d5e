from __future__ import annotations

import pytest

from orchestrator.app.notifications.news import Ending, is_worth_a_notification
from orchestrator.model.batches import NotifyWhen

FINE = Ending(exit_code=0, failed={})
ONE = Ending(exit_code=1, failed={"a": "FAILED"})
OTHER = Ending(exit_code=1, failed={"b": "FAILED"})
STOPPED = Ending(exit_code=3, stop_kind="BudgetExhausted", failed={})


@pytest.mark.parametrize("on", NotifyWhen)
def test_problem_is_always_announced_except_with_never(on: NotifyWhen) -> None:
    """The first failure of a series is a problem and a change."""
    assert is_worth_a_notification(on, ONE, None) == (on is not NotifyWhen.NEVER)


@pytest.mark.parametrize(
    ("on", "wanted"),
    [("problem", False), ("always", True), ("change", False), ("never", False)],
)
def test_success_is_announced_only_with_always(on: str, wanted: bool) -> None:
    """A success sends nothing, unless the user wants to be notified."""
    assert is_worth_a_notification(NotifyWhen(on), FINE, None) is wanted


@pytest.mark.parametrize(
    ("now", "before", "wanted"),
    [
        (ONE, FINE, True),
        (ONE, ONE, False),
        (OTHER, ONE, True),
        (FINE, ONE, True),
        (FINE, FINE, False),
        (STOPPED, ONE, True),
    ],
    ids=["first failure", "same failure", "other job", "recovery", "quiet", "stopped early"],
)
def test_change_compares_codes_reasons_and_failed_jobs(
    now: Ending,
    before: Ending,
    wanted: bool,
) -> None:
    """Another job that fails is a change, even if the number of failures is the same."""
    assert is_worth_a_notification(NotifyWhen.CHANGE, now, before) is wanted


def test_equal_news_has_one_key() -> None:
    """Restarts with the same failure are one message; another code or another job is a new one."""
    assert ONE.key == Ending(exit_code=1, failed=dict(ONE.failed)).key
    assert len({FINE.key, ONE.key, OTHER.key, STOPPED.key}) == 4
