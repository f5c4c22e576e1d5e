from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.apify.models import AccountLimits
from orchestrator.app.doctor.account_checks import finding_of_clock, findings_of_limits
from orchestrator.app.doctor.findings import State
from orchestrator.app.doctor.machine_checks import check_output
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra


def limits(used: str, most: str = "100") -> AccountLimits:
    return AccountLimits.model_validate(
        {
            "limits": {"maxConcurrentActorJobs": 25, "maxMonthlyUsageUsd": Decimal(most)},
            "current": {"monthlyUsageUsd": Decimal(used)},
        }
    )


@pytest.mark.parametrize(
    ("used", "state"), [("10", "ok"), ("89.9", "ok"), ("90", "warning"), ("100", "problem")]
)
def test_money_that_is_nearly_used_is_a_warning(used: str, state: str) -> None:
    """A user sees in advance that the month's money may not be enough."""
    room, money = findings_of_limits(limits(used))
    assert room.found == "25 runs at once"
    assert money.state is State(state)
    assert (money.advice is None) == (state == "ok")


@pytest.mark.parametrize(
    ("secs", "state", "found"),
    [
        (-29, "ok", "agrees"),
        (42, "warning", "42 s ahead of"),
        (-42, "warning", "42 s behind"),
        (3600, "problem", "3,600 s ahead of"),
    ],
)
def test_wrong_clock_is_reported_with_its_error(secs: int, state: str, found: str) -> None:
    """A clock that is off by more than five minutes serves the wrong occurrence."""
    finding = finding_of_clock(timedelta(seconds=secs))
    assert finding.state is State(state)
    assert found in finding.found


def test_output_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    """It is found in advance, with the folder that prevents it."""
    (tmp_path / "file").write_text("not a folder")
    output, _ = check_output(tmp_path / "file" / "output")
    assert output.state is State.PROBLEM
    assert "--output" in (output.advice or "")


def test_output_folder_is_left_as_it_was(tmp_path: Path) -> None:
    """The check leaves no file and creates no folder."""
    output, disk = check_output(tmp_path / "output")
    assert (output.state, disk.about) == (State.OK, "disk")
    assert list(tmp_path.iterdir()) == []


def test_every_extra_is_recognised_by_its_library() -> None:
    """A new extra is among those that the check names."""
    assert set(LIBRARIES_OF_EXTRAS) == set(Extra)
