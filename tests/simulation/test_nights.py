"""
Seeded nights of the real scheduler, ledger, client and collector against a platform in memory.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.night import play

NIGHTS = int(os.environ.get("ORCHESTRATOR_NIGHTS", "40"))
PER_TEST = 10


@pytest.mark.parametrize("first", range(0, NIGHTS, PER_TEST))
def test_nights_start_nothing_twice_and_lose_nothing(tmp_path: Path, first: int) -> None:
    """Whatever goes wrong, each attempt has one run, limits hold, and every item is there once."""
    for seed in range(first, first + PER_TEST):
        folder = tmp_path / str(seed)
        folder.mkdir()
        play(seed, folder)
