"""The parts of a scheduler, for tests that need some of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestrator.scheduler.decide.adoptable_runs import AdoptableRuns
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.timings import Timings
from tests.support.builders import NOON

CLAIM = Claim(memory_mbytes=128)


class FakeFinder:
    """There are no runs to be found, but perhaps found ones."""

    def __init__(self, adoptable: AdoptableRuns | None = None) -> None:
        self.orphans: Any = SimpleNamespace(
            adoptable=adoptable or AdoptableRuns(), end_adoptable=self.end_adoptable
        )

    async def watch_for_copies(self) -> None:
        """There is none."""

    async def search_for_orphans(self) -> None:
        """There are none."""

    async def end_adoptable(self, seq: int | None = None) -> None:
        """There are none."""


class FakeFollower:
    """No run is followed."""

    is_aborting = False

    def give_up_waits(self) -> None:
        """Nothing is waited for."""


def make_parts(**given: Any) -> Parts:
    """Parts of which those that are not given must not be used."""
    defaults: dict[str, Any] = {
        **dict.fromkeys(("ledger", "client", "observer", "starter", "collector", "acceptance")),
        "finder": FakeFinder(),
        "follower": FakeFollower(),
        "claim_of": lambda _demand, _remedy: CLAIM,
        "utc_now": lambda: NOON,
        "chance": lambda: 0.5,
        "away_secs": 60.0,
        "timings": Timings(stop_grace_secs=1.0),
    }
    return Parts(**{**defaults, **given})
