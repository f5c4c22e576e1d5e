"""
Keeps requests under the platform's rate limits, and slows down where it refuses them.

Each resource (an Actor, a run, a dataset, …) and the account as a whole have a limit. A resource
that is asked far below its limit costs a look-up and an addition; what has been idle for a moment
is removed. Nothing here waits or reads a clock: `Pacer` calculates with the `now` that it is
given, in seconds, and the sender sleeps for as long as it says.
"""

from __future__ import annotations

import math
from enum import Enum

from orchestrator.apify.http.headers import whole_number

HEADROOM = 0.95
"""How much of a published rate is used, so that requests that bunch up on their way still fit."""

BURST_SECS = 0.04
"""
How far ahead of an even flow requests may run; with HEADROOM, any second holds a limit's worth.
"""

# Published per minute, for all requests of an account.
ACCOUNT_PER_SEC = 250_000 / 60
# At the default rate still about one request a second, so that a recovery is noticed.
SLOWEST = 1 / 64
QUIET_SECS = 1.0
# From the slowest rate to the full one takes a minute without a 429.
RECOVERY_PER_SEC = 1 / 60
# Below this, memory is no concern, and the look for idle lanes is saved.
FORGET_FROM = 1024


class Rate(float, Enum):
    """The published limits of one resource, requests a second (API reference, "Rate limiting")."""

    DEFAULT = 60.0
    RECORDS = 200.0
    STARTS = 400.0


class Lane:
    """
    The flow of requests to one resource (a generic cell rate algorithm).

    Attributes:
        next_at: when the next request would be sent in an even flow.
        per_sec: how many a second may be sent while nothing was refused.
        factor: what a refusal left of that, 1 when all is well.
    """

    __slots__ = ("_changed_at", "factor", "interval", "limit_per_sec", "next_at", "per_sec")

    def __init__(self, limit_per_sec: float) -> None:
        self.limit_per_sec = limit_per_sec
        self.per_sec = limit_per_sec * HEADROOM
        self.interval = 1.0 / self.per_sec
        self.factor = 1.0
        self.next_at = 0.0
        self._changed_at = 0.0

    def reserve(self, now: float, patience_secs: float = math.inf) -> float | None:
        """
        Takes the next place; returns how long to wait for it, 0 for not at all.

        Args:
            patience_secs: when the wait would be longer, no place is taken and None returned.
        """
        if self.factor < 1.0:
            self._recover(now)
        if self.next_at <= now:
            # Idle time is not saved up: a burst never runs further ahead than BURST_SECS.
            self.next_at = now + self.interval
            return 0.0
        wait = self.next_at - now - BURST_SECS
        if wait > patience_secs:
            return None
        self.next_at += self.interval
        return max(0.0, wait)

    def learn(self, text: str) -> None:
        """
        Adopts the limit in a 429, where it is lower than the published one.

        Other answers have a limit too, but only a refusal shows that it is the one that counts.

        Args:
            text: of the header; ignored when it is not a number.
        """
        limit = whole_number(text)
        if limit is not None and 0 < limit < self.limit_per_sec:
            self.limit_per_sec = float(limit)
            self.per_sec = self.limit_per_sec * HEADROOM
            self.interval = 1.0 / (self.per_sec * self.factor)

    def refused(self, now: float, pause_secs: float) -> None:
        """Halves the rate after a 429, once for all that were in flight together, and pauses."""
        if now - self._changed_at >= QUIET_SECS or self.factor == 1.0:
            self.factor = max(self.factor / 2, SLOWEST)
            self.interval = 1.0 / (self.per_sec * self.factor)
            self._changed_at = now
        self.next_at = max(self.next_at, now + BURST_SECS + max(pause_secs, self.interval))

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        if self.next_at > now:
            return False
        if self.factor < 1.0:
            self._recover(now)
        return self.factor == 1.0

    def _recover(self, now: float) -> None:
        quiet = now - self._changed_at - QUIET_SECS
        if quiet > 0.0:
            self.factor = min(1.0, self.factor + quiet * RECOVERY_PER_SEC)
            self.interval = 1.0 / (self.per_sec * self.factor)
            # The next call then adds only the time since this one.
            self._changed_at = now - QUIET_SECS


class Pacer:
    """
    The lanes of all resources that are in use, and the account's.

    Attributes:
        account: a request takes its place here as a second step, after the wait for its resource:
            taken before, it would hold up other resources.
    """

    def __init__(self) -> None:
        self.account = Lane(ACCOUNT_PER_SEC)
        self._lanes: dict[str, Lane] = {}
        self._forget_at = FORGET_FROM

    def __len__(self) -> int:
        return len(self._lanes)

    def lane(self, resource: str, rate: Rate, now: float) -> Lane:
        """
        The lane of a resource; new ones are made, and idle ones forgotten, as needed.

        Args:
            resource: any name; the same for all requests that share a limit.
        """
        lane = self._lanes.get(resource)
        if lane is None:
            if len(self._lanes) >= self._forget_at:
                self._forget(now)
            lane = self._lanes[resource] = Lane(rate)
        return lane

    def _forget(self, now: float) -> None:
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle(now)}
        # Doubled, so that lanes that are all in use are not checked again for each new one.
        self._forget_at = max(FORGET_FROM, 2 * len(self._lanes))
