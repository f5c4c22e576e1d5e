"""A batch: what was asked for as a whole, and how it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from orchestrator.model.ids import BatchId, BatchName
from orchestrator.model.jobs import Target
from orchestrator.model.selection import EVERYTHING, Choice


class OnUnconfirmed(StrEnum):
    """What to do with a start that stays unclear to the end."""

    ADOPT = "adopt"
    FAIL = "fail"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The limits that the jobs of a pool share; None means no limit of that kind."""

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
    """What merged results are written as."""

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


LOCAL = "local"
"""The platform of a series that runs on the emulator of `--local`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    Batches that do the same thing again and again: what one of them needs to know of the others.

    Attributes:
        platform: its base URL, or `LOCAL`; None in ledgers of versions that did not store it.
        account: the user id; None where the platform did not tell it, and with `LOCAL`.
        params: the `--param` values, as typed.
        choice: which jobs of the spec.
        is_of_foreign_runs: whether its batches are made by `collect --runs`: they stand for no
            batch of a spec, also where they have the same name.
    """

    name: BatchName
    platform: str | None
    account: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = EVERYTHING
    is_of_foreign_runs: bool = False

    @property
    def id(self) -> str:
        """12 hexadecimal digits; two series have the same if, and only if, they are equal."""
        facts = {**asdict(self), "params": sorted(self.params.items())}
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def agrees(self, other: Series) -> bool:
        """Whether two batches belong together; what is not known of one agrees with anything."""
        return (
            self.name == other.name
            and _may_equal(self.platform, other.platform)
            and _may_equal(self.account, other.account)
            and dict(self.params) == dict(other.params)
            and self.choice == other.choice
            and self.is_of_foreign_runs == other.is_of_foreign_runs
        )


def _may_equal(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


class Trigger(StrEnum):
    """What triggered a batch: `run`, `run --resume`, or `collect --runs`."""

    RUN = "run"
    RESUME = "run --resume"
    COLLECT = "collect --runs"


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
        schedule: cron notation; None when the spec has none, and each day is an occurrence.
        timezone: of the schedule and of `{{ date }}`; None means the machine's.
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
    schedule: str | None = None
    timezone: str | None = None
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


STOPPED_BY_RULES = 3
DONE_KINDS = frozenset(
    {"BudgetExhausted", "PlanExhausted", "TooManyFailures", "DeadlinePassed", "BatchAborted"}
)
"""Error classes that end a batch for good, unless somebody resumes it."""


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
        stop_reason: why it was left early, for people; the kind of reason is in `stop_kind`.
        requests: sent to the platform so far, over all its processes.
        retries: how many of them were repeats.
        keeps_days: how long the platform keeps what runs have made; None when it did not say.
        number: one more than that of the batch of this name that was made before; 0 in ledgers of
            versions that did not count.
        occurrence: the instant of the schedule that it is for; aware UTC. None in ledgers of
            versions that knew none.
        platform, account: see `Series`; None in ledgers of versions that did not store them.
        triggered_by: what triggered it.
        stop_kind: the name of the error class that ended it early; None when none did.
        completed_at: when all that follows its last run was done (results, reports, upload).
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
    number: int = 0
    occurrence: datetime | None = None
    platform: str | None = None
    account: str | None = None
    triggered_by: Trigger = Trigger.RUN
    stop_kind: str | None = None
    completed_at: datetime | None = None

    @property
    def series(self) -> Series:
        """The series that it belongs to."""
        return Series(
            name=self.name,
            platform=self.platform or (None if self.plan.local is None else LOCAL),
            account=self.account,
            params=self.plan.params,
            choice=self.plan.choice,
            is_of_foreign_runs=self.triggered_by is Trigger.COLLECT,
        )

    @property
    def is_whole(self) -> bool:
        """Whether it has all jobs of its spec."""
        return self.plan.choice == EVERYTHING

    def is_after(self, instant: datetime) -> bool:
        """Whether it is for an occurrence after an instant."""
        return (self.occurrence or self.created_at) > instant

    @property
    def is_done(self) -> bool:
        """
        Whether it has ended, or was stopped by its own rules or on request.

        The others were interrupted: by a signal, a crash, a full disk, or by a platform that was
        away or refused the token.
        """
        if self.state is BatchState.OPEN:
            return False
        if self.stop_kind is None:
            return self.state is BatchState.ENDED or self.exit_code == STOPPED_BY_RULES
        return self.stop_kind in DONE_KINDS
