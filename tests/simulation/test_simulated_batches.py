"""Seeded simulations of the real scheduler, ledger, client and collector."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.store.transfer_sizes import USUAL_SIZES, TransferSizes
from tests.simulation.simulated_batch import SMALL, play

SIMULATIONS = int(os.environ.get("ORCHESTRATOR_SIMULATIONS", "300"))
ONE = os.environ.get("ORCHESTRATOR_SEED")
PER_TEST = 5
SEEDS = (
    [range(int(ONE), int(ONE) + 1)]
    if ONE
    else [
        range(first, min(first + PER_TEST, SIMULATIONS))
        for first in range(0, SIMULATIONS, PER_TEST)
    ]
)

FAILED_ONCE = ((2352, SMALL), (4317, USUAL_SIZES))
"""The seeds that have found a fault, with the sizes of downloads at that time."""


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"from-{seeds.start}")
def test_simulations_start_nothing_twice_and_lose_nothing(tmp_path: Path, seeds: range) -> None:
    """Whatever fails, each attempt has one run, limits hold, and every item is there once."""
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            play(seed, folder)
        except BaseException as error:
            error.add_note(f"repeat: ORCHESTRATOR_SEED={seed} python -m pytest {Path(__file__)}")
            raise


@pytest.mark.parametrize(("seed", "sizes"), FAILED_ONCE, ids=["small pieces", "usual pieces"])
def test_simulations_that_failed_once_pass(tmp_path: Path, seed: int, sizes: TransferSizes) -> None:
    """A seed that has found a fault does not find it again."""
    play(seed, tmp_path, sizes=sizes)
