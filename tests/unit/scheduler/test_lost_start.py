"""Starts whose answers were lost: their runs are found, or the starts are sent again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import OnUnconfirmed
from orchestrator.scheduler.start_request import (
    StartLost,
)
from tests.support.builders import NOON
from tests.unit.scheduler.fake_starts import FakePlatform, start


def test_start_of_an_earlier_process_is_not_repeated_too_early(
    tmp_path: Path,
) -> None:
    """If the age of the start is unknown, it counts as sent just now."""
    platform = FakePlatform(shows_time=False)
    assert start(tmp_path, platform, may_exist=True).run.id == "run1"
    assert 45.0 <= platform.sent_at[0] <= 50.0


def test_unreadable_lists_are_read_again_before_a_start_is_given_up(
    tmp_path: Path,
) -> None:
    """A list that is refused for a while shows the run later, and the run is adopted."""
    started = start(tmp_path, FakePlatform(loses=1, lists_from=55.0))
    assert (started.run.id, started.adopted) == ("run1", 1)


def test_start_whose_answer_was_lost_is_reported_and_found(tmp_path: Path) -> None:
    """Its run is adopted by its mark; no second start is sent."""
    platform = FakePlatform(loses=1)
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent, started.adopted) == ("run1", ["async"], 1)
    assert started.reported.unconfirmed == ["the answer was lost"]


def test_run_without_a_user_agent_is_adopted_by_its_input(tmp_path: Path) -> None:
    """If no mark is shown, a run with the same input is taken; no second start is sent."""
    platform = FakePlatform(loses=1, shows_agents=False)
    platform.existing["old"] = {
        "id": "old",
        "status": "SUCCEEDED",
        "startedAt": NOON.isoformat(),
        "defaultDatasetId": "d",
        "defaultKeyValueStoreId": "s",
    }
    started = start(tmp_path, platform)
    assert (started.run.id, platform.sent) == ("run1", ["async"])


def test_start_without_effect_is_sent_again(tmp_path: Path) -> None:
    """If the lists prove that there is no run, a second start is sent."""
    platform = FakePlatform(loses=1, has_effect=False)
    assert start(tmp_path, platform).run.id == "run2"
    with LedgerReader(tmp_path / "ledger.sqlite") as reader:
        # If the first start has a run after all, that run is an orphan.
        assert len(reader.given_up()) == 1


@pytest.mark.parametrize(
    ("policy", "lists", "has_effect", "sends"),
    [
        (OnUnconfirmed.ADOPT, False, True, 1),
        (OnUnconfirmed.FAIL, True, False, 1),
        (OnUnconfirmed.FAIL, False, True, 1),
    ],
    ids=["adopt-sees-no-list", "fail-sees-no-run", "fail-sees-no-list"],
)
def test_start_that_stays_unconfirmed_is_given_up(
    tmp_path: Path, policy: OnUnconfirmed, *, lists: bool, has_effect: bool, sends: int
) -> None:
    """Without proof, or if the user forbids it, no second start is sent."""
    platform = FakePlatform(loses=1, lists=lists, has_effect=has_effect)
    with pytest.raises(StartLost):
        start(tmp_path, platform, policy=policy)
    assert len(platform.sent) == sends


def test_start_that_stays_unconfirmed_is_sent_again_on_request(tmp_path: Path) -> None:
    """With `restart`, a second start is sent without proof that there is no run."""
    platform = FakePlatform(loses=1, lists=False)
    started = start(tmp_path, platform, policy=OnUnconfirmed.RESTART)
    assert (started.run.id, platform.sent) == ("run2", ["async", "async"])


def test_starts_that_were_lost_together_are_not_sent_again_together(tmp_path: Path) -> None:
    """Their pauses are random, and longer each time: a gateway may take only some a second."""
    times = []
    for chance in (0.0, 1.0):
        folder = tmp_path / str(chance)
        folder.mkdir()
        platform = FakePlatform(loses=3, has_effect=False)
        start(folder, platform, chance=chance)
        times.append(platform.sent_at)
    early, late = times
    # A search lasts the same for both, apart from the two seconds between two readings of a list.
    apart = [then - now for now, then in zip(early, late, strict=True)]
    longer = [then - before for before, then in pairwise(apart)]
    assert apart[0] == 0.0
    assert longer == pytest.approx([2.0, 4.0, 8.0], abs=2.0)


def test_start_that_a_gateway_refuses_for_its_size_is_sent_twice(tmp_path: Path) -> None:
    """If it has no run, the same request would be refused for ever; one answer may be odd."""
    platform = FakePlatform(loses=9, has_effect=False, status=413)
    with pytest.raises(StartLost, match="sent 2 times"):
        start(tmp_path, platform)
    assert len(platform.sent) == 2


def test_start_that_a_gateway_refuses_for_its_size_may_have_a_run(tmp_path: Path) -> None:
    """The page proves nothing: a run that is found is adopted."""
    started = start(tmp_path, FakePlatform(loses=1, status=413))
    assert (started.run.id, started.adopted) == ("run1", 1)


@pytest.mark.parametrize(
    ("silent_secs", "again_at"), [(0.0, 45.0), (20.0, 55.0), (30.0, 75.0), (100.0, 135.0)]
)
def test_start_that_met_silence_may_arrive_as_long_after_it(
    tmp_path: Path, silent_secs: float, again_at: float
) -> None:
    """A proxy sends lost packets again after pauses that double, for up to two minutes."""
    platform = FakePlatform(loses=1, has_effect=False, silent_secs=silent_secs)
    start(tmp_path, platform)
    assert again_at <= platform.sent_at[1] < again_at + 5.0
