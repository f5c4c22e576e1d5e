"""A platform that tells nobody who started a run: neither in lists, nor alone, nor in answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.conditions import HIDDEN
from tests.simulation.night import play
from tests.simulation.platform import SimPlatform

NIGHTS = int(os.environ.get("ORCHESTRATOR_NIGHTS", "30"))
PER_TEST = 10


@pytest.mark.parametrize("first", range(0, min(NIGHTS, 30), PER_TEST))
def test_lost_runs_are_told_by_their_inputs(tmp_path: Path, first: int) -> None:
    """Where no mark comes back, a run whose answer was lost is adopted by its input, once."""
    for seed in range(first, first + PER_TEST):
        # Batches side by side would know each other's runs, whose names are alike here.
        folder = tmp_path / str(seed) / "name" / "batch"
        folder.mkdir(parents=True)
        assert play(seed, folder, platform=SimPlatform(seed, conditions=HIDDEN)).runs
