"""
How much capacity the account has, as its refusals show. No clock, no I/O.

The account's limits are known, but other programs, schedules and builds use them too. A refusal for
lack of capacity shows that what is in use now is all that fits. That becomes the estimate for all
jobs. From time to time one start beyond it probes for more; the estimate grows while these succeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from orchestrator.backoff import pause_secs

FIRST_PAUSE_SECS = 2.0
LONGEST_PAUSE_SECS = 60.0


class Resource(Enum):
    """What the account had too little of."""

    RUNS = "runs"
    MEMORY = "MB of memory"


@dataclass(slots=True)
class Estimate:
    """
    How much of a resource fits, and when the next probe may start.

    Attributes:
        refusals: how many probes were refused in a row.
    """

    fits: int
    pause_secs: float
    probe_at: float
    refusals: int = 0
    is_probing: bool = False


class CapacityEstimate:
    """What fits into the account within the limits of the batch; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._estimates: dict[Resource, Estimate] = {}

    def stored(self, resource: Resource) -> dict[str, Any]:
        """What other processes should know of a resource; empty when none was refused."""
        estimate = self._estimates.get(resource)
        return {} if estimate is None else asdict(estimate)

    def restore(self, resource: Resource, stored: Mapping[str, Any]) -> None:
        """Replaces what is known of a resource by what was stored."""
        if stored:
            self._estimates[resource] = Estimate(**stored)

    @property
    def is_probing(self) -> bool:
        """Whether a start beyond what fits is tried now."""
        return any(estimate.is_probing for estimate in self._estimates.values())

    def blocked(self, wanted: int, resource: Resource, now: float) -> float | None:
        """Until when this much cannot be in use; None when it can, or would be the probe."""
        # Mostly nothing was refused yet.
        estimate = self._estimates.get(resource) if self._estimates else None
        if estimate is None or wanted <= estimate.fits or estimate.probe_at <= now:
            return None
        return estimate.probe_at

    def take(self, in_use: int, resource: Resource, now: float) -> None:
        """Notes what is in use with an admitted start; beyond the estimate, it is the probe."""
        estimate = self._estimates.get(resource) if self._estimates else None
        if estimate is not None and in_use > estimate.fits:
            estimate.is_probing = True
            # The next probe follows after any answer to this start.
            estimate.probe_at = now + estimate.pause_secs

    def refused(self, in_use: int, resource: Resource, now: float, jitter: float) -> None:
        """
        Shrinks the estimate to what is in use without the start that was refused.

        Args:
            jitter: a random number from 0 to 1.
        """
        estimate = self._estimates.get(resource)
        if estimate is not None and not estimate.is_probing:
            # One of several starts that were in flight together.
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
        """Notes a run that was started with this much in use; after a probe, another follows."""
        estimate = self._estimates.get(resource) if self._estimates else None
        if estimate is not None and estimate.is_probing:
            self._estimates[resource] = Estimate(
                fits=max(estimate.fits, in_use), pause_secs=FIRST_PAUSE_SECS, probe_at=now
            )
