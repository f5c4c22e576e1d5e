from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator import descriptors
from orchestrator.app.setup.process_limits import Capacity, capacity
from orchestrator.errors import ConfigError


@pytest.fixture(autouse=True)
def _counted_anew() -> Iterator[None]:
    """Each test counts descriptors anew; a process counts them once."""
    capacity.cache_clear()
    yield
    capacity.cache_clear()


@pytest.mark.parametrize(
    ("unused", "expected"),
    [
        (20_000, Capacity(max_runs=9942, max_downloads=32)),
        (240, Capacity(max_runs=83, max_downloads=18)),
        (54, Capacity(max_runs=14, max_downloads=2)),
        (25, Capacity(max_runs=1, max_downloads=1)),
    ],
)
def test_descriptors_are_shared_by_runs_and_downloads(
    monkeypatch: pytest.MonkeyPatch, unused: int, expected: Capacity
) -> None:
    """Runs get what downloads leave; if there are few, downloads get at most a quarter."""
    monkeypatch.setattr(descriptors, "unused", lambda: unused)
    found = capacity(32, is_local=False)
    assert found == expected
    assert 2 * found.max_runs + 3 * found.max_downloads + 20 <= unused


def test_emulator_in_the_process_halves_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator in the same process halves the number of runs."""
    monkeypatch.setattr(descriptors, "unused", lambda: 420)
    assert capacity(1, is_local=True).max_runs == 99
    assert capacity(1, is_local=False).max_runs == 198


def test_too_few_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """If not one run fits, the message says which limit to raise."""
    monkeypatch.setattr(descriptors, "unused", lambda: 24)
    with pytest.raises(ConfigError, match="raise the limit with `ulimit -n`"):
        capacity(32, is_local=False)
