"""What a ledger holds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from pydantic import JsonValue

from orchestrator.model.attempts import OtherDataset, sent_job
from orchestrator.model.batches import Batch
from orchestrator.model.ids import BatchId, DatasetId, JobKey, Mark, RunId, StoreId
from orchestrator.model.jobs import Demand, ItemsQuery, Job, Target
from orchestrator.model.proofs import Proof
from orchestrator.model.rules import NO_REMEDY, Remedy
from orchestrator.model.states import CLOSED_ATTEMPT_STATES, AttemptState, JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSnapshot:
    """
    A batch at one instant: what is needed before it is opened for work.

    Attributes:
        has_work: whether a job is not settled.
        has_open_attempts: whether attempts are in flight, or were when their process ended.
        demands: what the waiting jobs ask of the limits, each with one job that asks it.
    """

    batch: Batch
    has_work: bool
    has_open_attempts: bool
    demands: Mapping[Demand, JobKey]


class WaitingJob(NamedTuple):
    """
    A job that waits for its next attempt, in the little that admission needs.

    Attributes:
        attempts: those that are over; the next one has this number plus one.
        ready_at: not before this time of the platform, in Unix seconds; 0 when it may start at
            once.
        remedy: what its next attempt does differently.
        backoff_secs: the longest first pause that its rules ask for; None when they ask for none.
        home: a hash of its key, by which shards divide the jobs; 0 in a file, which has no shards.
    """

    seq: int
    demand: Demand
    priority: int
    attempts: int
    ready_at: float
    remedy: Remedy = NO_REMEDY
    backoff_secs: float | None = None
    home: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    The place of a waiting job in the queue.

    Attributes:
        ahead: waiting jobs that come first by priority and the order of the spec.
        ready_at: not before this time, in Unix seconds; 0 when it may start at once.
    """

    ahead: int
    ready_at: float
    remedy: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """
    The state of a job, with the facts of its last attempt.

    Attributes:
        attempts: how many were begun.
        items, size_bytes, sha256: of its dataset file; None when nothing was collected.
        reused_from: the earlier batch that ran it; None when this one did.
        records: how many there are in `records/`; None when none were asked for.
        missing: what was wanted and its run does not have, in words.
        proof: that its dataset is on disk whole; None when that is not known.
        unproven: why it is not known; None where an earlier version collected it.
        is_unread: whether its last run was paid for and may have succeeded, and the platform did
            not let it be read.
        datasets: the others that its run filled and that were collected.
        remedy: what its last attempt did differently.
    """

    job: Job
    status: JobStatus
    attempts: int
    state: AttemptState | None
    run_id: RunId | None
    dataset_id: DatasetId | None
    store_id: StoreId | None
    run_status: str | None
    items: int | None
    size_bytes: int | None
    sha256: str | None
    records: int | None
    missing: tuple[str, ...]
    started_at: datetime | None
    finished_at: datetime | None
    cost_usd: Decimal | None
    build_number: str | None
    error: str | None
    reused_from: BatchId | None
    proof: Proof | None
    unproven: str | None
    is_unread: bool
    datasets: tuple[OtherDataset, ...]
    remedy: Remedy = NO_REMEDY

    @property
    def sent(self) -> Job:
        """The job with the input of its last attempt."""
        return sent_job(self.job, self.remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    A job that did not succeed, with the facts of its last attempt.

    Attributes:
        seq: its place in the spec.
        attempts: those that are over.
        exit_code: of the Actor's process.
        log_end: of its last run, without secrets; None when it was not read.
    """

    seq: int
    key: JobKey
    target: Target
    status: JobStatus
    error: str | None
    attempts: int
    run_id: RunId | None
    exit_code: int | None
    log_end: str | None


class ListedAttempt(NamedTuple):
    """
    An attempt as pages list it: a tuple, which takes half as long to make as a dataclass.

    Attributes:
        outcome: how it ended, in the words of a job's status; None while it is open.
        memory_mbytes: of its run; None when that is not known.
        cost_usd: of its run; a resurrected run has its whole cost at its last attempt.
        sha256, proof, unproven, datasets: as in `JobReport`.
        is_adopted: whether its run was found after the answer to its start was lost.
        resurrected_at: when it was to continue the run of an earlier attempt; None for a run of its
            own.
        is_straggler: whether its run takes, or took, far longer than similar ones.
        input_changes: fields of its input that differ from that of its job, as a JSON object.
    """

    seq: int
    number: int
    state: AttemptState
    outcome: str | None
    run_id: RunId | None
    dataset_id: DatasetId | None
    run_status: str | None
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None
    memory_mbytes: int | None
    cost_usd: Decimal | None
    items: int | None
    size_bytes: int | None
    sha256: str | None
    proof: Proof | None
    unproven: str | None
    datasets: tuple[OtherDataset, ...]
    build_number: str | None
    is_adopted: bool
    resurrected_at: datetime | None
    reused_from: BatchId | None
    is_straggler: bool
    error: str | None
    input_changes: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.state not in CLOSED_ATTEMPT_STATES


class ListedJob(NamedTuple):
    """
    A job as reports list it, with all its attempts.

    It holds far less than a `JobReport`, so that a hundred thousand are read in seconds.

    Attributes:
        has_log: whether the log of its run was asked for.
        input_sha256: of its input; None when it has none.
        error: of the job; None when it succeeded or waits.
    """

    seq: int
    key: JobKey
    target: Target
    params: Mapping[str, JsonValue]
    tags: tuple[str, ...]
    has_log: bool
    input_sha256: str | None
    status: JobStatus
    error: str | None
    attempts: tuple[ListedAttempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDataset:
    """
    Who wants a dataset that runs share.

    Attributes:
        seq, number: the first job that does, and its last attempt.
        datasets: all of this attempt except its default one.
    """

    seq: int
    number: int
    query: ItemsQuery
    datasets: tuple[OtherDataset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanRun:
    """
    A run that belongs to no attempt of the batch.

    Attributes:
        status: of the run, as the platform last said.
    """

    run_id: RunId
    mark: Mark
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """
    What a run has cost, as last reported; times are the platform's.

    Attributes:
        run_id: None of a lost start that may have had a run.
        cost_usd: None where the platform has not reported it.
        cost_at: when it was last asked; None when it was not.
        ended_at: None when that is not known.
        reserved_usd: what the budget reserved for it; None when that is not known.
        demand: of its job; None of an orphan run.
    """

    run_id: RunId | None
    cost_usd: Decimal | None
    cost_at: datetime | None
    ended_at: datetime | None
    reserved_usd: Decimal | None
    demand: Demand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStart:
    """
    A start of a job in pools.

    Attributes:
        intent_at: by the wall clock.
        platform_at: by the platform's clock; None when that was not known.
    """

    pools: tuple[str, ...]
    intent_at: datetime
    platform_at: datetime | None


class Taking(NamedTuple):
    """
    What a settled job took.

    Attributes:
        seq: its place in the spec.
        secs: of its longest run that succeeded; None if none did.
        cost_usd: of all its runs, without that of another batch whose results it took; None if no
            cost is known.
    """

    seq: int
    key: JobKey
    demand: Demand
    secs: float | None
    cost_usd: float | None
