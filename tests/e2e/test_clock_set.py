"""A wall clock that is set while a batch runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.clock import adjustable, find_library, set_ahead
from tests.support.command import Command, Done, ServedPlatform, served_platform, sweep, wait_until

pytestmark = pytest.mark.skipif(
    find_library() is None, reason="Debian's package faketime is not installed"
)

DAY_SECS = 86_400


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[ServedPlatform]:
    """A platform for one test."""
    with served_platform(tmp_path / "platform") as served:
        yield served


def has_runs(platform: ServedPlatform, count: int) -> bool:
    """Whether the platform has so many runs."""
    return len(platform.runs()) >= count


def set_during_batch(folder: Path, platform: ServedPlatform, steps: list[int]) -> Done:
    """Runs three jobs, one after another, and sets the clock after the start of each."""
    command = Command(folder=folder, variables=platform.variables())
    command, clock = adjustable(command, folder / "home")
    set_ahead(clock, 0)
    command.write("s.toml", sweep("set", jobs=3, batch="max_runs = 1", duration_secs=1))
    process = command.start("run", "s.toml")
    for count, step in enumerate(steps, start=1):
        wait_until(partial(has_runs, platform, count), f"{count} runs")
        set_ahead(clock, step * DAY_SECS)
    out, err = process.communicate()
    return Done(code=process.code, out=out, err=err)


@pytest.mark.parametrize("steps", [[-1], [1, 0, 2]], ids=["back", "forward"])
def test_clock_that_is_set_changes_no_duration(
    tmp_path: Path, platform: ServedPlatform, steps: list[int]
) -> None:
    """Each job runs once, a warning names the step, and durations are those that went by."""
    done = set_during_batch(tmp_path, platform, steps)
    assert done.code == 0, done.err
    assert len(platform.runs()) == 3
    assert "clock set by_secs" in done.err
    assert "day" not in done.out
    (folder,) = (tmp_path / "output" / "set").glob("2*")
    summary = json.loads((folder / "summary.json").read_text())
    assert 3 <= summary["duration_secs"] < 120
    assert 3 <= summary["active_secs"] < 120
