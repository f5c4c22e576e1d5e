"""A batch in numbers, counted by its ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orchestrator.ledger.changed_ledger import reads_ledger
from orchestrator.ledger.records import OrphanRun
from orchestrator.ledger.rows import batch_of, call_of
from orchestrator.ledger.store import Store, slices
from orchestrator.ledger.stored_values import instant
from orchestrator.model.batches import BatchCall
from orchestrator.model.ids import JobKey, Mark, RunId
from orchestrator.model.states import SETTLED_JOB_STATUSES, JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncollected:
    """
    Runs whose items were asked for and are not on disk whole.

    Attributes:
        since: when the first of them ended, or began if it may still be live.
    """

    runs: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCap:
    """A run whose cost is within 5 % of our cap for it: it may have been cut short."""

    key: JobKey
    cost_usd: Decimal
    cap_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTotals:
    """
    What a sweep has made of the items of other jobs.

    Attributes:
        sources: how many jobs have given their items.
        failed: how many jobs did not succeed whose items it needs.
        left_out: how many items gave no job though they were wanted.
        problem: why one of them gave none.
    """

    name: str
    sources: int
    failed: int
    jobs: int
    left_out: int
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """
    A batch in numbers.

    Attributes:
        jobs: by status; those with an open attempt count as RUNNING, not as WAITING.
        runs: attempts that got a run.
        reused: jobs that were taken from earlier batches.
        items, size_bytes: of the dataset files that the jobs hold.
        cost_usd: of all runs, as last reported.
        paid_again_usd: of the runs that followed one that was rejected.
        cost_is_provisional: whether the platform may report another cost later.
        unproven: how many jobs are not proven complete, by the reason; all others are proven.
        uncollected: None when there are none.
        ready: runs that were started more than a minute ago and that the platform has not begun.
        near_cap: runs that cost about as much as the cap that we chose for them.
        stragglers: jobs with a run that takes, or took, far longer than similar ones.
        calls: the processes that worked on the batch, in their order; empty in ledgers of earlier
            versions.
        orphans: runs that were found after their starts had been given up, and were aborted.
        sweeps: those whose rows are items, if they have made jobs.
    """

    jobs: dict[JobStatus, int]
    attempts: int
    runs: int
    adopted: int
    reused: int
    items: int
    size_bytes: int
    cost_usd: Decimal
    paid_again_usd: Decimal
    cost_is_provisional: bool
    unproven: dict[str, int]
    uncollected: Uncollected | None
    ready: int
    near_cap: list[NearCap]
    stragglers: list[JobKey]
    orphans: list[OrphanRun]
    calls: list[BatchCall]
    sweeps: list[SweepTotals] = field(default_factory=list)

    @property
    def active_secs(self) -> float | None:
        """How long processes have worked on the batch; None in ledgers that do not show it."""
        return sum(call.secs for call in self.calls) if self.calls else None


@reads_ledger
def totals_of(db: Store) -> Totals:
    """Counts a batch."""
    attempts = db.query("sum_attempts").fetchone()
    collected = db.query("sum_collected").fetchone()
    return Totals(
        jobs=jobs_by_status(db),
        attempts=attempts["attempts"],
        runs=attempts["runs"],
        adopted=int(attempts["adopted"]),
        reused=attempts["reused"],
        items=int(collected["items"]),
        size_bytes=int(collected["size_bytes"]),
        cost_usd=_sum_costs(db, "select_costs"),
        paid_again_usd=_sum_costs(db, "select_costs_paid_again"),
        cost_is_provisional=has_provisional_cost(db),
        unproven=_count_unproven(db),
        uncollected=_uncollected(db),
        ready=db.query("count_ready").fetchone()["runs"],
        near_cap=[
            NearCap(
                key=JobKey(row["key"]),
                cost_usd=Decimal(row["cost_usd"]),
                cap_usd=Decimal(row["reserved_usd"]),
            )
            for row in db.query("select_near_cap")
        ],
        stragglers=[JobKey(row["key"]) for row in db.query("select_stragglers")],
        orphans=[
            OrphanRun(run_id=RunId(row["run_id"]), mark=Mark(row["mark"]), status=row["run_status"])
            for row in db.query("select_orphans")
        ],
        calls=[call_of(row) for row in db.query("select_calls")],
        sweeps=_sweeps(db),
    )


def _sweeps(db: Store) -> list[SweepTotals]:
    """What the sweeps of the batch have made of items."""
    sweeps = batch_of(db.query("select_batch").fetchone()).plan.sweeps
    if not sweeps:
        return []
    made = {row["sweep"]: row for row in db.query("sum_expansions")}
    failed = [row["key"] for row in db.query("select_unsuccessful_keys")]
    return [
        SweepTotals(
            name=sweep.name,
            sources=made[sweep.name]["sources"] if sweep.name in made else 0,
            failed=sum(map(sweep.wants, failed)),
            jobs=made[sweep.name]["jobs"] if sweep.name in made else 0,
            left_out=made[sweep.name]["left_out"] if sweep.name in made else 0,
            problem=made[sweep.name]["problem"] if sweep.name in made else None,
        )
        for sweep in sweeps
    ]


def has_provisional_cost(db: Store) -> bool:
    """Whether the platform may report another cost of a run later."""
    return bool(db.query("has_provisional_cost").fetchone()["has_some"])


@reads_ledger
def jobs_by_status(db: Store) -> dict[JobStatus, int]:
    """How many jobs have each status, as in `Totals`."""
    counts = db.query("count_jobs").fetchone()
    jobs: dict[JobStatus, int] = {
        status: counts[status.value] for status in (JobStatus.WAITING, *SETTLED_JOB_STATUSES)
    }
    running = db.query("count_open").fetchone()["attempts"]
    # In the ledger, a job with an open attempt is WAITING.
    jobs[JobStatus.RUNNING] = running
    jobs[JobStatus.WAITING] = jobs.get(JobStatus.WAITING, 0) - running
    return {status: count for status, count in jobs.items() if count}


def _count_unproven(db: Store) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for first, end in slices(db):
        for row in db.query("count_unproven", first=first, end=end):
            counts[row["reason"]] += row["jobs"]
    return dict(sorted(counts.items()))


def _sum_costs(db: Store, query: str) -> Decimal:
    # Not by SQL, which would add the amounts as floats.
    return sum((Decimal(row["cost_usd"]) for row in db.query(query)), Decimal(0))


def _uncollected(db: Store) -> Uncollected | None:
    row = db.query("select_uncollected").fetchone()
    since = instant(row["since"])
    return None if since is None else Uncollected(runs=row["runs"], since=since)
