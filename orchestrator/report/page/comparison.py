"""A batch against the earlier ones of its series: what is slower, dearer or fewer. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Protocol

from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch, BatchState
from orchestrator.model.money import money
from orchestrator.model.states import FAILED_JOB_STATUSES, JobStatus
from orchestrator.report.lines import clock
from orchestrator.report.page import svg
from orchestrator.report.page.job_rows import DEARER, FEWER, SLOWER, ShownJob

SLOWER_FACTOR = DEARER_FACTOR = 1.25
FEWER_FACTOR = 0.9
"""How far a batch may be from the median of earlier ones before it is marked."""

JOB_FACTOR = 2.0
"""The same for one job and the batch before: single runs differ more."""
LEAST_SECS = 30.0
LEAST_ITEMS = 5
LEAST_USD = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What a job took and made in the batch before, where it succeeded."""

    items: int | None = None
    secs: float | None = None
    cost_usd: float | None = None


class UsualByKey(Protocol):
    """What the jobs of the batch before took and made, by their keys in lower case."""

    def __len__(self) -> int: ...

    def get(self, key: str, /) -> Usual | None:
        """None if nothing is known of a job."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """
    The figures of a batch that histories compare.

    Attributes:
        jobs: by status.
        active_secs: how long processes worked on it; None in ledgers that do not show it.
    """

    batch: Batch
    jobs: Mapping[JobStatus, int]
    items: int
    cost_usd: Decimal
    active_secs: float | None = None

    @property
    def began_at(self) -> datetime:
        """When it was created."""
        return self.batch.created_at

    @property
    def jobs_total(self) -> int:
        """How many jobs it has."""
        return sum(self.jobs.values())

    @property
    def failed(self) -> int:
        """How many of them did not succeed."""
        return sum(self.jobs.get(status, 0) for status in FAILED_JOB_STATUSES)

    @property
    def secs(self) -> float | None:
        """How long it took, without the pauses between its processes; None when not known."""
        if self.active_secs is not None:
            return self.active_secs
        if self.batch.ended_at is None:
            return None
        return self.batch.secs_until(self.batch.ended_at)


def figures_of(batch: Batch, totals: Totals) -> BatchFigures:
    """The figures of a batch from the totals of its ledger."""
    return BatchFigures(
        batch=batch,
        jobs=totals.jobs,
        items=totals.items,
        cost_usd=totals.cost_usd,
        active_secs=totals.active_secs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """
    One figure of the batches of a series.

    Attributes:
        mark: what is worse than usual, in words; empty when nothing is.
    """

    name: str
    value: str
    usual: str
    mark: str
    chart: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    What the page says of the history of a batch.

    Attributes:
        past: earlier batches, the oldest first.
    """

    measures: Sequence[Measure]
    past: Sequence[BatchFigures]

    @property
    def marks(self) -> list[str]:
        """All that is worse than usual."""
        return [measure.mark for measure in self.measures if measure.mark]


def compare(current: BatchFigures, past: Sequence[BatchFigures]) -> Comparison | None:
    """
    A batch against earlier ones that have ended; None when there are none.

    Args:
        past: the oldest first.
    """
    ended = [one for one in past if one.batch.state is BatchState.ENDED]
    if not ended:
        return None
    is_over = current.batch.state is BatchState.ENDED
    every = (*ended, current)
    measures = [
        _measure("time", every, _secs, clock, "slower" if is_over else ""),
        _measure("cost", every, _cost, _dollars, "dearer"),
        _measure("items", every, _items, _count, "fewer items" if is_over else ""),
        _measure("failed jobs", every, _failed, _count, "more failures"),
    ]
    return Comparison(measures=[one for one in measures if one is not None], past=ended)


def job_marks(job: ShownJob, usual: Usual | None) -> int:
    """The flags of a job that is worse than in the batch before."""
    if usual is None:
        return 0
    flags = 0
    if _is_far_above(job.secs, usual.secs, LEAST_SECS):
        flags |= SLOWER
    cost = None if job.cost_usd is None else float(job.cost_usd)
    if _is_far_above(cost, usual.cost_usd, LEAST_USD):
        flags |= DEARER
    if job.secs is not None and _is_far_above(usual.items, job.items, LEAST_ITEMS):
        flags |= FEWER
    return flags


def _is_far_above(value: float | None, other: float | None, least: float) -> bool:
    if value is None or other is None:
        return False
    return value >= JOB_FACTOR * other and value - other >= least


def _measure(
    name: str,
    every: Sequence[BatchFigures],
    value_of: Callable[[BatchFigures], float | None],
    words: Callable[[float], str],
    worse: str,
) -> Measure | None:
    values = [value_of(one) for one in every]
    known = [value for value in values[:-1] if value is not None]
    if not known:
        return None
    usual, value = median(known), values[-1]
    mark = ""
    if worse and value is not None and _is_worse(worse, value, usual):
        mark = f"{worse}: {words(value)}, usually {words(usual)}"
    return Measure(
        name=name,
        value="" if value is None else words(value),
        usual=words(usual),
        mark=mark,
        chart=svg.columns(values, usual=usual),
    )


def _is_worse(worse: str, value: float, usual: float) -> bool:
    match worse:
        case "fewer items":
            return value < FEWER_FACTOR * usual
        case "more failures":
            return value > usual
        case "slower":
            return value > SLOWER_FACTOR * usual and value - usual >= LEAST_SECS
        case _:
            return value > DEARER_FACTOR * usual and value - usual >= LEAST_USD


def _secs(one: BatchFigures) -> float | None:
    return one.secs


def _cost(one: BatchFigures) -> float | None:
    return float(one.cost_usd)


def _items(one: BatchFigures) -> float | None:
    return one.items


def _failed(one: BatchFigures) -> float | None:
    return one.failed


def _dollars(value: float) -> str:
    return money(Decimal(str(value)))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def usual_of(usual: UsualByKey, key: str) -> Usual | None:
    """What a job took and made before; keys are compared without case."""
    return usual.get(key.lower())
