"""The figures of one batch that become metrics. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.progress import Progress
from orchestrator.model.states import JobStatus
from orchestrator.report.summary import shown_statuses

NO_ANSWER = "none"
"""The status of requests that were not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    The figures of the newest batch of a series, at one instant.

    Attributes:
        jobs: by status; the statuses that no job has may be left out.
        running: runs in flight.
        requests: by HTTP status, or `NO_ANSWER`.
        secs: from the begin of the batch to its end, or until now.
        exit_code: None while a process runs the batch.
        last_success: when a batch of the series last ended with 0; None if that is not known.
    """

    name: str
    series: str
    jobs: Mapping[JobStatus, int]
    running: int
    items: int
    size_bytes: int
    cost_usd: Decimal
    requests: Mapping[str, int] = field(default_factory=dict)
    began_at: datetime
    secs: float
    exit_code: int | None = None
    last_success: datetime | None = None


def reading_of(batch: Batch, totals: Totals, now: datetime, last: datetime | None) -> Reading:
    """
    The figures of a batch from its ledger.

    Args:
        last: the last success before this batch; None if there is none.
    """
    is_open = batch.state is BatchState.OPEN
    ended_at = now if is_open or batch.ended_at is None else batch.ended_at
    return Reading(
        name=batch.name,
        series=batch.series.id,
        jobs=shown_statuses(batch, totals),
        running=totals.jobs.get(JobStatus.RUNNING, 0),
        items=totals.items,
        size_bytes=totals.size_bytes,
        cost_usd=totals.cost_usd,
        requests=requests_by_status(batch.answers, batch.requests),
        began_at=batch.created_at,
        secs=batch.secs_until(ended_at),
        exit_code=batch.exit_code,
        last_success=success_of(batch) or last,
    )


def live_reading(
    batch: Batch,
    progress: Progress,
    requests: Mapping[str, int],
    last: datetime | None,
) -> Reading:
    """The figures of a batch that this process runs, from its memory."""
    running = progress.running + progress.collecting
    counts = {JobStatus.RUNNING: running, JobStatus.WAITING: progress.waiting}
    return Reading(
        name=batch.name,
        series=batch.series.id,
        jobs={**progress.settled, **counts},
        running=progress.running,
        items=progress.items,
        size_bytes=progress.size_bytes,
        cost_usd=progress.cost_usd,
        requests=requests,
        began_at=batch.created_at,
        secs=batch.secs_until(progress.at),
        last_success=last,
    )


def requests_by_status(answers: Mapping[str, int], requests: int) -> dict[str, int]:
    """
    The requests by the status of their answers.

    Args:
        answers: by HTTP status.
        requests: all that were sent.
    """
    unanswered = requests - sum(answers.values())
    return {**answers, NO_ANSWER: max(0, unanswered)}


def success_of(batch: Batch) -> datetime | None:
    """When a batch ended with 0; None if it did not."""
    is_success = batch.state is BatchState.ENDED and batch.exit_code == 0
    return batch.ended_at if is_success else None
