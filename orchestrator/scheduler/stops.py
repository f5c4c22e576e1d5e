"""
When failures stop a batch, or hold the jobs of one Actor. No clock, no I/O.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from orchestrator.model.attempts import Outcome
from orchestrator.model.batches import FailureLimit
from orchestrator.model.jobs import Target
from orchestrator.model.runs import Run
from orchestrator.model.states import JobStatus

SAMPLE = 20
"""
So many jobs must be over before a share of them means anything; half of a smaller batch.
"""

BREAKER_JOBS = 5


class FailureCount:
    """
    Counts the jobs that are over in this process, against `stop_after_failures`.

    Args:
        jobs: how many there are to be done.
    """

    def __init__(self, limit: FailureLimit | None, jobs: int) -> None:
        self._limit = limit
        self._sample = min(SAMPLE, max(1, (jobs + 1) // 2))
        self._over = 0
        self._failed = 0

    def add(self, status: JobStatus) -> str | None:
        """
        Counts a settled job; says why nothing more should be started, or None.
        """
        self._over += 1
        self._failed += status is not JobStatus.SUCCEEDED
        limit = self._limit
        if limit is None or not self._failed:
            return None
        if limit.count is not None and self._failed >= limit.count:
            return f"{self._failed} jobs failed, and stop_after_failures is {limit}"
        if (
            limit.share is not None
            and self._over >= self._sample
            and self._failed >= limit.share * self._over
        ):
            return f"{self._failed} of {self._over} jobs failed, and stop_after_failures is {limit}"
        return None


@dataclass(slots=True)
class Breaker:
    """
    Whether an Actor or task does nothing but fail, always alike.

    Attributes:
        held: the targets whose other jobs are held, and why; added to.
    """

    held: dict[Target, str]
    _alike: dict[Target, Counter[str]] = field(default_factory=dict)
    _works: set[Target] = field(default_factory=set)

    def add(self, target: Target, outcome: Outcome, run: Run | None) -> str | None:
        """
        Counts a settled job; says why the target's other jobs are held from now on, or None.

        Args:
            run: the job's last one; None when none came of it.
        """
        if target in self._works or target in self.held:
            return None
        if outcome.error is None:
            self._works.add(target)
            return None
        kinds = self._alike.setdefault(target, Counter())
        kinds[_kind_of(outcome, run)] += 1
        if len(kinds) > 1:
            self._works.add(target)
        elif kinds.total() >= BREAKER_JOBS:
            reason = (
                f"{target} is held: its first {BREAKER_JOBS} jobs failed alike; the last one: "
                f"{outcome.error}"
            )
            self.held[target] = reason
            return reason
        return None


def _kind_of(outcome: Outcome, run: Run | None) -> str:
    """
    What failures have in common: words that hold a number may differ.
    """
    said = outcome.error if run is None else f"{run.exit_code} {run.status_message}"
    return f"{outcome.status} " + re.sub(r"\S*\d\S*", "#", said or "")
