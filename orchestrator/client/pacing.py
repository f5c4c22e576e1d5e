"""
Stays under the platform's published rates by itself, and slows down where it says so.

The core decides with `now` passed in; the shell waits. A resource that is asked rarely costs one
look-up in a dictionary, and is forgotten when its window is over.
"""

from __future__ import annotations

import anyio

DEFAULT_PER_SEC = 60.0
RECORDS_PER_SEC = 200.0
STARTS_PER_SEC = 400.0
ACCOUNT_PER_MINUTE = 250_000
HEADROOM = 0.9
"""
The share of a published rate that is used: the platform's window and ours are not the same.
"""

SLOWEST_PER_SEC = 1.0
RECOVERY_PER_SEC = 0.05
FORGET_AFTER_SECS = 60.0


class Lane:
    """
    The rate of one resource: evenly spaced permits with a small burst.

    After a refusal the rate is halved, and grows back by a twentieth of the full rate each second.
    """

    __slots__ = ("_burst", "_full", "_rate", "_since", "_tokens")

    def __init__(self, per_sec: float, now: float) -> None:
        self._full = per_sec * HEADROOM
        self._rate = self._full
        self._burst = max(1.0, self._full / 4)
        self._tokens = self._burst
        self._since = now

    def permit(self, now: float) -> float:
        """
        Takes a permit; returns how long to wait before using it, in seconds.
        """
        self._pass_time(now)
        self._tokens -= 1.0
        return 0.0 if self._tokens >= 0.0 else -self._tokens / self._rate

    def refused(self, now: float) -> None:
        """
        The platform said 429: slow down for all who ask this resource.
        """
        self._pass_time(now)
        self._rate = max(SLOWEST_PER_SEC, self._rate / 2)
        self._tokens = min(self._tokens, 0.0)

    def is_idle(self, now: float) -> bool:
        """
        Whether it has nothing to remember any more.
        """
        return now - self._since > FORGET_AFTER_SECS

    def _pass_time(self, now: float) -> None:
        passed = now - self._since
        if passed > 0.0:
            self._since = now
            self._tokens = min(self._burst, self._tokens + passed * self._rate)
            if self._rate < self._full:
                self._rate = min(self._full, self._rate + passed * self._full * RECOVERY_PER_SEC)


class Pacer:
    """
    A lane per resource and one for the account.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._account_lane: Lane | None = None
        self._swept_at = 0.0

    async def wait(self, resource: str, per_sec: float) -> None:
        """
        Returns when a request to this resource may be sent.

        Cancellation: the permit is lost, which errs on the side of fewer requests.
        """
        now = anyio.current_time()
        pause = max(self._lane(resource, per_sec, now).permit(now), self._of_account(now))
        if pause > 0.0:
            await anyio.sleep(pause)

    def refused(self, resource: str) -> None:
        """
        Slows a resource down after a 429.
        """
        lane = self._lanes.get(resource)
        if lane is not None:
            lane.refused(anyio.current_time())

    def _of_account(self, now: float) -> float:
        if self._account_lane is None:
            self._account_lane = Lane(ACCOUNT_PER_MINUTE / 60, now)
        return self._account_lane.permit(now)

    def _lane(self, resource: str, per_sec: float, now: float) -> Lane:
        lane = self._lanes.get(resource)
        if lane is None:
            if now - self._swept_at > FORGET_AFTER_SECS:
                self._swept_at = now
                self._lanes = {
                    name: lane for name, lane in self._lanes.items() if not lane.is_idle(now)
                }
            lane = self._lanes[resource] = Lane(per_sec, now)
        return lane
