"""The parts of a scheduler, for tests that need only some of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestrator.scheduler.decide.adoptable_runs import AdoptableRuns
from orchestrator.scheduler.decide.limits import Claim
from orchestrator.scheduler.intents import Intents
from orchestrator.scheduler.parts import Parts
from orchestrator.scheduler.timings import Timings
from tests.support.builders import NOON

CLAIM = Claim(memory_mbytes=128)


class FakeFinder:
    """A finder without runs to find; it may have adoptable runs."""

    def __init__(self, adoptable: AdoptableRuns | None = None) -> None:
        self.orphans: Any = SimpleNamespace(
            adoptable=adoptable or AdoptableRuns(), end_adoptable=self.end_adoptable
        )

    async def watch_for_copies(self) -> None:
        """Does nothing."""

    async def search_for_orphans(self) -> None:
        """Does nothing."""

    async def end_adoptable(self, seq: int | None = None) -> None:
        """Does nothing."""


class FakeFollower:
    """A follower that follows no run."""

    is_aborting = False

    def give_up_waits(self) -> None:
        """Does nothing: nothing waits."""


def make_parts(**given: Any) -> Parts:
    """The parts of a scheduler; a part that is not given must not be used."""
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
    values = {**defaults, **given}
    # Those of a process that works alone: they need a ledger, a client and a clock only when used.
    alone = Intents(values["ledger"], values["client"], values["utc_now"])
    return Parts(**{"intents": alone, **values})
