from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.errors import (
    NoRoom,
    NotAuthorized,
    PermanentError,
    PlanLimitReached,
    PlatformError,
    TransientError,
)
from orchestrator.ledger import LedgerReader
from orchestrator.model.ids import RunId
from orchestrator.model.jobs import CollectPlan, Mode, RunOptions
from orchestrator.model.rules import Remedy
from orchestrator.scheduler.start_request import (
    CAP_BELOW_FLOOR,
    StartPostponed,
)
from tests.support.builders import make_job, make_run
from tests.unit.scheduler.fake_starts import OLD, FakePlatform, start


def test_answered_start_has_its_run(tmp_path: Path) -> None:
    """One request is sent, and the attempt has the run of its answer."""
    platform = FakePlatform()
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent, started.adopted) == ("run1", ["async"], 0)
    assert started.reported.agents_hidden_by == []


def test_answer_without_a_user_agent_causes_a_warning(tmp_path: Path) -> None:
    """The run is taken; a warning says that a lost run could be recognised only by its input."""
    started = start(tmp_path, FakePlatform(shows_agents=False))
    assert started.reported.agents_hidden_by == ["run1"]


def test_answers_without_user_agents_cause_one_warning(tmp_path: Path) -> None:
    """It concerns all starts, so one warning is enough."""
    started = start(tmp_path, FakePlatform(shows_agents=False), jobs=3)
    assert started.reported.agents_hidden_by == ["run1"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NoRoom("full", status=402), StartPostponed),
        (PlanLimitReached("no money left", status=402), StartPostponed),
        (TransientError("later"), StartPostponed),
        (PermanentError("more", status=400, error_type=CAP_BELOW_FLOOR), StartPostponed),
        (NotAuthorized("no token", status=401), NotAuthorized),
    ],
    ids=["no-room", "plan", "later", "cap", "token"],
)
def test_start_that_is_refused_for_now_leaves_no_intent(
    tmp_path: Path, error: PlatformError, raised: type[Exception]
) -> None:
    """Its intent is withdrawn: there is no run to search for, and no attempt is used up."""
    with pytest.raises(raised):
        start(tmp_path, FakePlatform(refuses=error), cap_usd=Decimal(1))
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        assert reader.totals().attempts == 0


def test_answer_without_the_platforms_time_is_accepted(tmp_path: Path) -> None:
    """An answer without a time is accepted, because there is nothing to compare."""
    platform = FakePlatform(shows_time=False)
    assert start(tmp_path, platform).run.id == "run1"


@pytest.mark.parametrize(
    ("plan", "way"),
    [
        (CollectPlan(items=True, output=False), "items"),
        (CollectPlan(items=True, output=True), "output"),
        (CollectPlan(items=False, output=True), "output"),
        (CollectPlan(items=False, output=False), "output"),
    ],
)
def test_synchronous_start_is_answered_with_what_is_collected(
    tmp_path: Path, plan: CollectPlan, way: str
) -> None:
    """The answer has the items if only they are wanted; otherwise the output."""
    platform = FakePlatform()
    start(tmp_path, platform, make_job(mode=Mode.SYNC, collect=plan))
    assert platform.sent == [way]


@pytest.mark.parametrize("loses", [0, 1])
def test_resurrection_continues_the_run_that_it_names(tmp_path: Path, loses: int) -> None:
    """The run belongs to an earlier attempt; a lost request without effect is sent again."""
    platform = FakePlatform(loses=loses, existing={"old": dict(OLD)})
    remedy = Remedy(resurrects=RunId("old"))
    assert start(tmp_path, platform, remedy=remedy).run.id == "old"
    assert platform.sent == ["resurrect"] * (loses + 1)


def test_attempt_adopts_the_run_that_another_process_started_for_it(tmp_path: Path) -> None:
    """No start is sent, and the run is recorded as adopted."""
    platform = FakePlatform()
    found = make_run("theirs", status="RUNNING", finished_at=None)
    started = start(tmp_path, platform, found=found)
    assert (started.run.id, platform.sent, started.adopted) == ("theirs", [], 1)
    assert started.reported.adopted == [True]


@pytest.mark.parametrize(
    ("own", "chosen", "sent"),
    [(None, None, None), (None, "2", "2"), ("1", "2", "1"), ("1", None, "1")],
)
def test_start_sends_its_own_cap_or_the_one_that_is_chosen(
    tmp_path: Path, own: str | None, chosen: str | None, sent: str | None
) -> None:
    """A cap in the spec is sent unchanged; ours is sent only if the spec has none."""
    own_usd, chosen_usd, sent_usd = (
        None if one is None else Decimal(one) for one in (own, chosen, sent)
    )
    platform = FakePlatform()
    job = make_job(options=RunOptions(max_total_charge_usd=own_usd))
    start(tmp_path, platform, job, cap_usd=chosen_usd)
    assert platform.caps == [sent_usd]
