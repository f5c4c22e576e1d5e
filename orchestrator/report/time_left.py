"""
Estimates how long a batch still takes, from the usual durations of its runs.

It counts what waits and what still runs, and it claims no more than the durations show: without
similar runs, and when the last runs take longer than usual, there is no estimate. No I/O, no clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 3
"""An estimate needs this many ended runs of the same kind, or an earlier batch with the job."""

PATIENCE = 1.5
"""A run is late when it takes this many times as long as in the earlier batch."""

SHORTEST_SECS = 10.0
"""A shorter time is not predicted: one slow run would make it wrong by many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """
    How long a batch still takes.

    Attributes:
        secs: None when it cannot be said.
        late: how many runs take longer than expected.
    """

    secs: float | None
    late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """
    What is left to do.

    Attributes:
        waiting: how many jobs wait for a start.
        waiting_secs: how long their runs take together; None when the duration of some is unknown.
        rests: how long each run in progress still takes: 0 when it should have ended, None when
            that is unknown.
        late: how many runs take longer than expected.
        at_once: how many runs are in progress at a time, on average lately.
        collecting_secs: how long ago the run ended that has been collected for the longest time;
            None when none is collected.
        collect_secs: how long it takes from the end of a run until its job is settled.
        collecting: how many runs have ended whose jobs are not settled.
        settled_per_sec: how many jobs were settled per second lately; 0 when none was.
    """

    waiting: int
    waiting_secs: float | None
    rests: Sequence[float | None]
    late: int
    at_once: float
    collecting_secs: float | None = None
    collect_secs: float = 0.0
    collecting: int = 0
    settled_per_sec: float = 0.0


def time_left(work: Workload) -> TimeLeft:
    """How long the batch still takes."""
    known = [rest for rest in work.rests if rest is not None]
    secs: float | None
    if len(known) < len(work.rests):
        secs = None
    elif work.waiting:
        secs = _until_all_end(work, known)
    elif work.late:
        # Nothing but the late runs decides, and nothing says when they end.
        secs = None
    elif known:
        secs = max(known) + work.collect_secs
    else:
        secs = work.collect_secs - (work.collecting_secs or 0.0)
    if secs is not None and work.settled_per_sec:
        # Downloads may be slower than runs.
        secs = max(secs, work.collecting / work.settled_per_sec)
    return TimeLeft(
        secs=None if secs is None or secs < SHORTEST_SECS else secs,
        late=work.late,
    )


def _until_all_end(work: Workload, rests: Sequence[float]) -> float | None:
    # Nothing is in progress: the jobs wait for something else than the end of runs.
    if work.waiting_secs is None or work.at_once < 0.5:
        return None
    queue_secs = (work.waiting_secs + sum(rests)) / work.at_once
    # The runs do not end at one time: the last to start ends half a run later than the average.
    half_secs = work.waiting_secs / work.waiting / 2 if work.at_once > 1 else 0.0
    return max(queue_secs + half_secs, max(rests, default=0.0)) + work.collect_secs


def rest_of_known(age_secs: float, expected_secs: float) -> tuple[float, bool]:
    """
    How long a run still takes whose job has run in an earlier batch, and whether it is late.

    Args:
        expected_secs: the duration of its run in the earlier batch.
    """
    return max(0.0, expected_secs - age_secs), age_secs > PATIENCE * expected_secs


def rest_of_similar(
    age_secs: float, durations: Sequence[float], peers: int
) -> tuple[float | None, bool]:
    """
    How long a run still takes, by the durations of similar runs, and whether it is late.

    Of many runs in progress the last one decides when all have ended, so the more there are, the
    longer is the duration that is expected of each.

    Args:
        durations: in order.
        peers: how many similar runs are in progress, with this one.
    """
    if len(durations) < FEWEST:
        return None, False
    shorter = bisect_right(durations, age_secs)
    longer = len(durations) - shorter
    if not longer:
        return 0.0, True
    place = shorter + min(longer - 1, int(longer * peers / (peers + 1)))
    return durations[place] - age_secs, False


def drift(actual_secs: float, expected_secs: float, runs: int) -> float:
    """
    How much longer runs take than in the earlier batch, as a factor.

    Args:
        actual_secs, expected_secs: of all ended runs whose jobs ran in an earlier batch.
        runs: how many they are.
    """
    if runs < FEWEST or not expected_secs:
        return 1.0
    return max(0.2, actual_secs / expected_secs)
