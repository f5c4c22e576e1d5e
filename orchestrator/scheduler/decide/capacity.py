"""
How much room the account has, as its refusals tell. No clock, no I/O.

The account's limits are known, but other programs, schedules and builds use them too. A refusal for
lack of room shows that no more than what is in use now fits: that becomes the estimate, for all
jobs at once. It is probed again gently, by one start beyond it, and grows as long as those succeed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.backoff import pause_secs

FIRST_PAUSE_SECS = 2.0
LONGEST_PAUSE_SECS = 60.0


class Resource(Enum):
    """What there was no room for."""

    RUNS = "runs"
    MEMORY = "MB of memory"


@dataclass(slots=True)
class Estimate:
    """
    How much of a resource fits, and when more is tried again.

    Attributes:
        refusals: how many probes were refused in a row.
    """

    fits: int
    pause_secs: float
    probe_at: float
    refusals: int = 0
    is_probing: bool = False


class RoomEstimate:
    """
    What fits into the account, of what the batch's limits allow; `now` is monotonic, in seconds.
    """

    def __init__(self) -> None:
        self._estimates: dict[Resource, Estimate] = {}

    def blocked(self, wanted: int, resource: Resource, now: float) -> float | None:
        """
        Until when so much cannot be in use; None when it can, also when it would be the probe.
        """
        estimate = self._estimates.get(resource)
        if estimate is None or wanted <= estimate.fits or estimate.probe_at <= now:
            return None
        return estimate.probe_at

    def take(self, in_use: int, resource: Resource, now: float) -> None:
        """
        Notes what is in use with a start that was let by: beyond the estimate, it is the probe.
        """
        estimate = self._estimates.get(resource)
        if estimate is not None and in_use > estimate.fits:
            estimate.is_probing = True
            # Whatever comes of this start, the next probe has its turn.
            estimate.probe_at = now + estimate.pause_secs

    def refused(self, in_use: int, resource: Resource, now: float, jitter: float) -> None:
        """
        Shrinks the estimate to what is in use without the start that was refused.

        Args:
            jitter: a random number from 0 to 1.
        """
        estimate = self._estimates.get(resource)
        if estimate is not None and not estimate.is_probing:
            # One of several starts that were on their way together.
            estimate.fits = min(estimate.fits, in_use)
            return
        refusals = 0 if estimate is None else estimate.refusals + 1
        pause = pause_secs(refusals, first_secs=FIRST_PAUSE_SECS, longest_secs=LONGEST_PAUSE_SECS)
        self._estimates[resource] = Estimate(
            fits=in_use,
            pause_secs=pause,
            probe_at=now + pause * (0.75 + 0.5 * jitter),
            refusals=refusals,
        )

    def started(self, in_use: int, resource: Resource, now: float) -> None:
        """
        Notes that a run was started with so much in use.

        A probe that succeeds is followed by one more.
        """
        estimate = self._estimates.get(resource)
        if estimate is not None and estimate.is_probing:
            self._estimates[resource] = Estimate(
                fits=max(estimate.fits, in_use), pause_secs=FIRST_PAUSE_SECS, probe_at=now
            )
