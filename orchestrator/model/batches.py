"""A batch: what was asked for as a whole, and its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from orchestrator.model.ids import BatchId, BatchName
from orchestrator.model.item_sweeps import MAX_JOBS, ItemSweep
from orchestrator.model.selection import EVERYTHING, Choice


class OnUnconfirmed(StrEnum):
    """What to do with a start when it stays unknown whether it has a run."""

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
    How many jobs may fail before no other is started: a count, or a share of those that are over.

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
    The local platform of a batch, so that a later command starts the same one.

    Attributes:
        data_dir: absolute path.
        actors_dirs: absolute paths.
    """

    data_dir: str
    actors_dirs: tuple[str, ...]


class ResultsFormat(StrEnum):
    """The file format of merged results."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPlan:
    """
    How the items of all jobs are merged.

    Attributes:
        partition_by: columns whose values become folders.
        unique: fields that identify an item; of items with the same values, one is kept.
        unique_missing: "keep" or "drop" items without a value of one of them.
        new_only: only items that no earlier batch of the series had, compared by `unique`.
        types: the types in Parquet of fields that are text in JSON, by name.
        csv_safe: whether cells that a spreadsheet would execute as formulas are escaped.
    """

    format: ResultsFormat = ResultsFormat.JSONL
    partition_by: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    unique_missing: str = "keep"
    new_only: bool = False
    types: dict[str, str] = field(default_factory=dict)
    csv_safe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """
    Which batches of a series are kept: the newest, and the young ones.

    Attributes:
        keep_last: how many of the newest are kept, at any age.
        keep_days: the age in days up to which batches are kept; None for no such limit.
    """

    keep_last: int | None = None
    keep_days: float | None = None


class NotifyWhen(StrEnum):
    """After which ends of a batch a notification is sent."""

    PROBLEM = "problem"
    ALWAYS = "always"
    CHANGE = "change"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyPlan:
    """
    Who is notified of how the batch ends.

    Attributes:
        urls, ping_url: as the spec has them: `{{ env.NAME }}` is not rendered.
    """

    on: NotifyWhen = NotifyWhen.PROBLEM
    urls: tuple[str, ...] = ()
    ping_url: str | None = None


LOCAL = "local"
"""The platform of a series that runs on the emulator of `--local`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    The batches that repeat the same work, one after the other.

    Attributes:
        platform: its base URL, or `LOCAL`; None in ledgers of versions that did not store it.
        account: the user id; None if the platform did not show it, and with `LOCAL`.
        params: the `--param` values, as typed.
        choice: which jobs of the spec.
        is_of_foreign_runs: whether `collect --runs` made its batches: these are separate from the
            batches of a spec with the same name.
    """

    name: BatchName
    platform: str | None
    account: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = EVERYTHING
    is_of_foreign_runs: bool = False

    @property
    def id(self) -> str:
        """12 hexadecimal digits; two series have the same id if, and only if, they are equal."""
        # Sorted: the order of the `--param` options does not make another series.
        facts = {**asdict(self), "params": sorted(self.params.items())}
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def serves(self, occurrence: datetime | None) -> str:
        """Names what a batch of several processes is made for: one batch for each such name."""
        # One of two processes may not know the account yet.
        return f"{replace(self, account=None).id} {occurrence}"

    def agrees(self, other: Series) -> bool:
        """Whether two series are the same; an unknown value agrees with every value."""
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
    The settings of a batch as a whole, from its spec and its command line.

    Attributes:
        spec_path: absolute path of the spec as given.
        max_runs: None means the account's limit.
        max_memory_mbytes: None means the account's limit.
        max_cost_usd: of all runs together; None means no budget.
        stop_after_failures: None lets any number fail.
        deadline_secs: how long one process may work on it; None means no deadline.
        results: None means that items are not merged.
        retention: which earlier batches stay when this one has ended; None means all.
        params: the `--param` values, as typed.
        day: the ISO date that `{{ date }}` is; empty in ledgers that do not hold it.
        schedule: cron notation; None when the spec has none: then each day is an occurrence.
        timezone: of the schedule and of `{{ date }}`; None means the machine's.
        choice: which jobs of the spec belong to the batch.
        local: None when the batch runs on the platform of the settings.
        remote: URL of the object store that files are uploaded to; None for no upload.
        sweeps: those whose rows are the items of other jobs, in the order of the spec.
        max_jobs: how many jobs it may have when these have made theirs.
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
    retention: Retention | None = None
    params: dict[str, str] = field(default_factory=dict)
    day: str = ""
    schedule: str | None = None
    timezone: str | None = None
    choice: Choice = EVERYTHING
    local: LocalPlatformPlan | None = None
    remote: str | None = None
    notify: NotifyPlan | None = None
    sweeps: tuple[ItemSweep, ...] = ()
    max_jobs: int = MAX_JOBS


# Only for batches of versions that did not store `stop_kind`.
STOPPED_BY_RULES = 3
DONE_KINDS = frozenset(
    {
        "BudgetExhausted",
        "PlanExhausted",
        "TooManyFailures",
        "TooManyJobs",
        "DeadlinePassed",
        "BatchAborted",
    }
)
"""Error classes that end a batch, unless somebody resumes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCall:
    """
    The call of a command that worked on a batch.

    Attributes:
        command: as the user calls it, such as `run --resume`.
        caller: what called it, such as `terminal` or `systemd`; empty when that is not known.
        seen_at: when it last recorded something; its end, unless it was killed.
    """

    command: str
    caller: str
    began_at: datetime
    seen_at: datetime

    @property
    def secs(self) -> float:
        """How long it worked on the batch."""
        # The wall clock may have been set back meanwhile.
        return max(0.0, (self.seen_at - self.began_at).total_seconds())


class BatchState(StrEnum):
    """
    Whether a batch is open, stopped or ended.

    OPEN: it runs, or its process crashed. STOPPED: it ended early and can be resumed. ENDED: every
    job is settled.
    """

    OPEN = "open"
    STOPPED = "stopped"
    ENDED = "ended"


def is_done(state: str, exit_code: int | None, stop_kind: str | None) -> bool:
    """
    Whether a batch has ended, or was stopped by its own rules or on request.

    The others were interrupted: by a signal, a crash, a full disk, or a platform that was away or
    refused the token.
    """
    if state == BatchState.OPEN:
        return False
    if stop_kind is None:
        return state == BatchState.ENDED or exit_code == STOPPED_BY_RULES
    return stop_kind in DONE_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    One execution of a spec.

    Attributes:
        mark: opaque and unique; the marks of its attempts begin with it.
        created_at: aware UTC.
        ended_at: when the last process ended; aware UTC.
        exit_code: of the last process; None while open.
        stop_reason: why it ended early, for people; the kind of reason is in `stop_kind`.
        requests: sent to the platform so far, by all processes.
        retries: how many of them were repeats.
        answers: how many requests were answered, by HTTP status.
        keeps_days: how long the platform keeps the results of runs; None when it did not say.
        max_runs, max_memory_mbytes: in use at once, by the account too; None if not known.
        number: one more than that of the previous batch of this name; 0 in ledgers of versions that
            did not count.
        occurrence: the instant of the schedule that it is for; aware UTC. None in ledgers of
            versions without occurrences.
        platform, account: see `Series`; None in ledgers of versions that did not store them.
        triggered_by: what triggered it.
        stop_kind: the name of the error class that ended it early; None when none did.
        completed_at: when all steps after its last run were done (results, reports, upload).
        owes_news: whether its end still has to be announced: by a notification or a ping.
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
    answers: Mapping[str, int] = field(default_factory=dict)
    keeps_days: int | None = None
    max_runs: int | None = None
    max_memory_mbytes: int | None = None
    number: int = 0
    occurrence: datetime | None = None
    platform: str | None = None
    account: str | None = None
    triggered_by: Trigger = Trigger.RUN
    stop_kind: str | None = None
    completed_at: datetime | None = None
    owes_news: bool = False

    @property
    def series(self) -> Series:
        """The series that it belongs to."""
        return Series(
            name=self.name,
            # Ledgers of the first version store no platform, but their plan says if it is local.
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

    def secs_until(self, instant: datetime) -> float:
        """The time from its start to an instant; 0 if the clock was set back between them."""
        return max(0.0, (instant - self.created_at).total_seconds())

    def is_after(self, instant: datetime) -> bool:
        """Whether its occurrence is after an instant."""
        return (self.occurrence or self.created_at) > instant

    @property
    def is_done(self) -> bool:
        """Whether it has ended, or was stopped by its own rules or on request."""
        return is_done(self.state, self.exit_code, self.stop_kind)
