"""How long the scheduler pauses between two tries, as one value that tests shorten."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.apify.options import REFUSAL_PAUSES_SECS, SYNC_WAIT_SECS
from orchestrator.scheduler.decide.retries import FIRST_DELAY_SECS

CLOCK_GRAIN_SECS = 1.0
"""The platform's clock is known to the second, from the header `Date`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """
    The pauses that no setting changes, in seconds.

    Attributes:
        search_interval_secs: between two searches for the run of a start whose answer was lost.
        list_interval_secs: between two readings of the account's list of runs, at least.
        list_patience_secs: how long lists that prove nothing are read again, counted from when the
            run of a start must be on them.
        late_delivery_secs: how long after a start was sent a proxy or gateway may still deliver it.
        resend_spread_secs: before a start that has no run is sent again, at most; it doubles with
            each further one of the same attempt.
        postponed_secs: about how long a job waits after its start was refused for now.
        first_delay_secs: before the second attempt at a job; it doubles from there.
        sync_wait_secs: how long the platform holds a synchronous start.
        refusal_pauses_secs: the pauses before the client repeats a request that was refused.
        adoptable_interval_secs: between two requests for an adoptable run that no attempt follows.
        stop_grace_secs: how long starts and downloads may continue after a stop.
        beat_secs: between two questions of a process to the others that share its batch.
        full_secs: about how long a job waits that the limits of all processes did not allow.
        lack_of_money_secs: the same for money, which comes back when costs are final.
    """

    search_interval_secs: float = 2.0
    list_interval_secs: float = 1.0
    list_patience_secs: float = 20.0
    late_delivery_secs: float = 120.0
    resend_spread_secs: float = 2.0
    postponed_secs: float = 5.0
    first_delay_secs: float = FIRST_DELAY_SECS
    sync_wait_secs: float = SYNC_WAIT_SECS
    refusal_pauses_secs: tuple[float, ...] = REFUSAL_PAUSES_SECS
    adoptable_interval_secs: float = 10.0
    stop_grace_secs: float = 6.0
    beat_secs: float = 2.0
    full_secs: float = 0.4
    lack_of_money_secs: float = 2.0


TIMINGS = Timings()
