"""
A batch: what was asked for as a whole, and how it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orchestrator.model.ids import BatchId, BatchName
from orchestrator.model.jobs import Target
from orchestrator.model.selection import EVERYTHING, Choice


class OnUnconfirmed(StrEnum):
    """
    What to do with a start that stays unclear to the end.
    """

    ADOPT = "adopt"
    FAIL = "fail"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """
    The limits that the jobs of a pool share; None means no limit of that kind.
    """

    max_runs: int | None = None
    starts_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLimit:
    """
    How many jobs may fail before nothing more is started: a count, or a share of those over.

    Attributes:
        share: from 0, exclusive, to 1.
    """

    count: int | None = None
    share: float | None = None

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.share is not None else str(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlatformPlan:
    """
    The local platform that a batch runs on, so that a later command starts the same again.

    Attributes:
        data_dir: absolute path.
        actors_dirs: absolute paths.
    """

    data_dir: str
    actors_dirs: tuple[str, ...]


class ResultsFormat(StrEnum):
    """
    What merged results are written as.
    """

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPlan:
    """
    How the items of all jobs are put together.

    Attributes:
        partition_by: columns whose values become folders.
        unique: fields that tell items apart; of those with the same values one is kept.
        unique_missing: "keep" or "drop": what becomes of items without a value of one of them.
        new_only: only items that no earlier batch of the series gave, as `unique` tells them.
        types: what fields are in Parquet that are text in JSON, by their names.
        csv_safe: whether cells that a spreadsheet would take for formulas are neutralised.
    """

    format: ResultsFormat = ResultsFormat.JSONL
    partition_by: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    unique_missing: str = "keep"
    new_only: bool = False
    types: dict[str, str] = field(default_factory=dict)
    csv_safe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """
    What holds for a batch as a whole, from its spec and its command line.

    Attributes:
        spec_path: absolute path of the spec as given.
        max_runs: None means the account's limit.
        max_memory_mbytes: None means the account's limit.
        max_cost_usd: of all runs together; None means no budget.
        stop_after_failures: None lets any number fail.
        deadline_secs: how long one process may be at it; None means no deadline.
        results: None leaves items with their jobs.
        params: the `--param` values, as typed.
        day: the ISO date that `{{ date }}` is; empty in ledgers that do not tell it.
        choice: which jobs of the spec are the batch's.
        local: None when the batch runs on the platform of the settings.
        remote: URL of the object store that files are uploaded to; None when they stay.
    """

    spec_path: str
    spec_sha256: str
    max_runs: int | None = None
    max_memory_mbytes: int | None = None
    max_cost_usd: Decimal | None = None
    stop_after_failures: FailureLimit | None = None
    deadline_secs: float | None = None
    pools: dict[str, PoolLimits] = field(default_factory=dict)
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.ADOPT
    results: ResultsPlan | None = None
    params: dict[str, str] = field(default_factory=dict)
    day: str = ""
    choice: Choice = EVERYTHING
    local: LocalPlatformPlan | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """
    Why jobs of one kind wait; kinds are told apart by what admission looks at.

    Attributes:
        reason: for people.
        jobs: how many there are.
    """

    target: Target | None
    memory_mbytes: int
    pools: tuple[str, ...]
    reason: str
    jobs: int


class BatchState(StrEnum):
    """
    Whether a batch goes on.

    OPEN while it runs or after a crash, STOPPED when it was left early and can be resumed, ENDED
    when every job is settled.
    """

    OPEN = "open"
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    One execution of a spec.

    Attributes:
        mark: opaque and unique; begins the mark of each of its attempts.
        created_at: aware UTC.
        ended_at: when it was last left; aware UTC.
        exit_code: of the process that last left it; None while open.
        stop_reason: why it was left early, for people.
        requests: sent to the platform so far, over all its processes.
        retries: how many of them were repeats.
        keeps_days: how long the platform keeps what runs have made; None when it did not say.
    """

    id: BatchId
    name: BatchName
    mark: str
    created_at: datetime
    plan: BatchPlan
    state: BatchState = BatchState.OPEN
    ended_at: datetime | None = None
    exit_code: int | None = None
    stop_reason: str | None = None
    requests: int = 0
    retries: int = 0
    keeps_days: int | None = None
