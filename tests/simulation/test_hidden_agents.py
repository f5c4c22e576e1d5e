"""A platform that hides who started a run: in lists, in the run itself and in answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.conditions import HIDDEN
from tests.simulation.platform import SimPlatform
from tests.simulation.simulated_batch import play

SIMULATIONS = int(os.environ.get("ORCHESTRATOR_SIMULATIONS", "30"))
PER_TEST = 10


@pytest.mark.parametrize("first", range(0, min(SIMULATIONS, 30), PER_TEST))
def test_lost_runs_are_recognised_by_their_inputs(tmp_path: Path, first: int) -> None:
    """If no mark is shown, a run whose answer was lost is adopted by its input, once."""
    for seed in range(first, first + PER_TEST):
        # Batches beside each other would know each other's runs, which have equal names here.
        folder = tmp_path / str(seed) / "name" / "batch"
        folder.mkdir(parents=True)
        assert play(seed, folder, platform=SimPlatform(seed, conditions=HIDDEN)).runs
