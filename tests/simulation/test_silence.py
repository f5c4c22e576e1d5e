"""A platform that receives requests for 90 seconds and answers none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from orchestrator.apify import Request
from orchestrator.errors import RequestTimeout
from tests.simulation.platform import SimPlatform
from tests.simulation.simulated_batch import play
from tests.support.scripted_transport import Reply

SIMULATIONS = int(os.environ.get("ORCHESTRATOR_SIMULATIONS", "8"))
SILENT_FROM_SECS = 12.0
SILENT_SECS = 90.0


@dataclass
class SilentPlatform(SimPlatform):
    """
    Is silent for a while.

    Attributes:
        does_it_later: whether requests have their effect when the silence ends.
    """

    trouble: float = 0.05
    does_it_later: bool = False

    async def answer(self, request: Request) -> Reply:
        """Answers, unless it is silent."""
        now = anyio.current_time()
        back_at = SILENT_FROM_SECS + SILENT_SECS
        if SILENT_FROM_SECS <= now < back_at:
            if self.does_it_later and request.method == "POST":
                self.do_later(request, back_at)
            await anyio.sleep(request.deadlines.whole or request.deadlines.silence)
            raise RequestTimeout("silent")
        return await super().answer(request)


@pytest.mark.parametrize("does_it_later", [False, True], ids=["forgets", "does-it-later"])
@pytest.mark.parametrize("crashes", [0, 2])
def test_batch_ends_correctly_after_a_long_silence(
    tmp_path: Path, does_it_later: bool, crashes: int
) -> None:
    """Starts into the silence are confirmed after it; no attempt has two runs."""
    for seed in range(SIMULATIONS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        platform = SilentPlatform(seed, does_it_later=does_it_later)
        assert play(seed, folder, crashes=crashes, platform=platform).runs
