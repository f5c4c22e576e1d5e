"""A run of the simulated platform, and the limits that it counts for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from multidict import CIMultiDict

from tests.simulation.conditions import SHOP_RUNS
from tests.support.scripted_transport import Reply


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What may be in use at once; the oracle's own copy of the limits."""

    runs: int = 6
    memory_mbytes: int = 6144
    shop_runs: int = SHOP_RUNS


@dataclass
class Life:
    """A run from its start or resurrection to its end."""

    begins: float
    ends: float
    outcome: str


class Shown(NamedTuple):
    """A run as JSON, and when it is so: until something of it changes."""

    since: float
    until: float
    text: str


@dataclass
class SimRun:
    """
    One run; times are in seconds on the loop's clock.

    Attributes:
        mark: of its start.
        lives: from its start, and from each resurrection.
        outcomes: of its job's attempts, from the first one on; SUCCEEDED when they are used up.
        secs: the time that each life takes.
        counted_from: from this time on, its items are counted and sent in full.
        lags: what is incomplete before that: the items, their count, or both.
        begins_at: when it began, by the platform's clock.
        asked_at: when its start was received.
        cost_usd: the final cost of each life.
    """

    id: str
    agent: str
    lives: list[Life]
    outcomes: list[str]
    secs: float
    items: int
    memory_mbytes: int
    is_in_shop: bool
    listed_from: float
    counted_from: float
    lags: str
    target: str
    begins_at: datetime
    asked_at: float
    cost_usd: float
    shown: dict[bool, Shown] = field(default_factory=dict, repr=False)
    """What the last answer said of it, in a list and alone: most answers say the same as others."""

    @cached_property
    def mark(self) -> str:
        return self.agent.rpartition("(attempt ")[2].rstrip(")")

    @cached_property
    def job(self) -> int:
        """The place of its job in the spec."""
        return int(self.mark.split(".")[1], 36)

    @cached_property
    def attempt(self) -> str:
        """The mark without the number of the send."""
        return self.mark.rpartition(".")[0]

    @property
    def begins(self) -> float:
        return self.lives[0].begins

    @property
    def ends(self) -> float:
        return self.lives[-1].ends

    def life(self, now: float) -> Life:
        """The last one that has begun; before that, the first one."""
        if len(self.lives) == 1:
            return self.lives[0]
        return [life for life in self.lives if life.begins <= now or life is self.lives[0]][-1]

    def unchanged_until(self, now: float, cost_lag_secs: float) -> float:
        """When answers next say something else of it, unless it is aborted or resurrected."""
        return min(
            (
                moment
                for life in self.lives
                for moment in (life.begins, life.ends, life.ends + cost_lag_secs)
                if moment > now
            ),
            default=math.inf,
        )

    def is_live(self, now: float) -> bool:
        first = self.lives[0]
        # Most runs have one life, and each start asks this of all runs.
        if len(self.lives) == 1:
            return first.begins <= now < first.ends
        return any(life.begins <= now < life.ends for life in self.lives)


@lru_cache(4096)
def asked_for(url: str) -> tuple[list[str], dict[str, list[str]]]:
    """The steps of a path after the version of the API, and the query; both are only read."""
    parts = urlsplit(url)
    return parts.path.split("/")[2:], parse_qs(parts.query)


def stamp(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(4096)
def date_header(second: datetime) -> str:
    """A time as HTTP writes it."""
    return format_datetime(second, usegmt=True)


def output_of(run: SimRun) -> Reply:
    """The answer to a request for its output record."""
    body = json.dumps({"of": run.id}).encode()
    return Reply(200, CIMultiDict({"Content-Type": "application/json"}), (body,))
