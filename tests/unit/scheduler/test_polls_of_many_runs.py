"""Polls with so many runs at once that each is followed by a pause."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.scheduler.follow import PAUSE_SHARE, Follower
from tests.unit.scheduler.followed_runs import FakePlatform, follow

MANY = 10
"""So many runs at once are many in these tests."""


def test_many_runs_at_once_take_at_most_seven_requests_beyond_their_polls(tmp_path: Path) -> None:
    """An hour of runs of ten minutes takes 54 polls: with six starts and downloads, 66 requests."""
    platform = FakePlatform({f"r{number}": 600.0 for number in range(MANY)})
    went = follow(tmp_path, platform, many_runs=MANY)
    assert platform.polls == 9 * MANY
    assert went.secs == pytest.approx(600.0, abs=0.1)


def test_one_of_many_runs_is_seen_to_end_in_its_first_minute_at_once(tmp_path: Path) -> None:
    """No pause comes before the first poll has taken its time; a later one is a seventh of it."""
    many = {f"r{number}": 610.0 for number in range(MANY)}
    platform = FakePlatform(many | {"early": 59.0, "late": 61.0})
    went = follow(tmp_path, platform, many_runs=MANY)
    assert platform.seen_at["early"] == pytest.approx(59.0, abs=0.1)
    assert platform.seen_at["late"] == pytest.approx(60.0 * (1 + PAUSE_SHARE), abs=0.1)
    assert None not in went.ended.values()


def test_one_of_many_runs_is_aborted_in_time(tmp_path: Path) -> None:
    """A pause between two polls does not delay `abort_after_factor`."""
    many = {f"r{number}": 610.0 for number in range(MANY)}
    usual = {f"u{number}": 15.5 for number in range(5)}
    platform = FakePlatform(usual | many | {"long": 5000.0})
    follow(tmp_path, platform, many_runs=MANY, abort_after_factor=4.0)
    assert {round(at) for _, _, at in platform.aborted} == {62}


def test_pause_of_one_of_many_runs_ends_at_a_stop(tmp_path: Path) -> None:
    """A stop between two polls is obeyed at once."""
    platform = FakePlatform({f"r{number}": 5000.0 for number in range(MANY)})
    went = follow(tmp_path, platform, many_runs=MANY, at=65.0, meanwhile=Follower.give_up_waits)
    assert set(went.ended.values()) == {None}
    assert went.secs == pytest.approx(65.0, abs=0.01)
