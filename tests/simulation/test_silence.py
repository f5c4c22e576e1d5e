"""A platform that takes requests for 90 seconds and answers none of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from orchestrator.apify import Request
from orchestrator.errors import RequestTimeout
from tests.simulation.night import play
from tests.simulation.platform import SimPlatform
from tests.support.scripted_transport import Reply

NIGHTS = int(os.environ.get("ORCHESTRATOR_NIGHTS", "8"))
SILENT_FROM_SECS = 12.0
SILENT_SECS = 90.0


@dataclass
class SilentPlatform(SimPlatform):
    """
    Falls silent for a while.

    Attributes:
        does_it_later: whether what was asked meanwhile has its effect when the silence ends.
    """

    trouble: float = 0.05
    does_it_later: bool = False

    @asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Answers, but not while it is silent."""
        now = anyio.current_time()
        back_at = SILENT_FROM_SECS + SILENT_SECS
        if SILENT_FROM_SECS <= now < back_at:
            if self.does_it_later and request.method == "POST":
                self.do_later(request, back_at)
            await anyio.sleep(request.deadlines.whole or request.deadlines.silence)
            raise RequestTimeout("silent")
        async with super().send(request) as answer:
            yield answer


@pytest.mark.parametrize("does_it_later", [False, True], ids=["forgets", "does-it-later"])
@pytest.mark.parametrize("crashes", [0, 2])
def test_batch_ends_right_after_a_long_silence(
    tmp_path: Path, does_it_later: bool, crashes: int
) -> None:
    """Starts sent into the silence are made sure of when it is over; none has two runs."""
    for seed in range(NIGHTS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        platform = SilentPlatform(seed, does_it_later=does_it_later)
        assert play(seed, folder, crashes=crashes, platform=platform).runs
