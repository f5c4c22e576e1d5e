"""Makes a batch on disk from a spec, with every job in its ledger; starts nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from orchestrator.app.batch.doubted_rows import doubt_rows
from orchestrator.app.batch.left_out_needs import LeftOutNeeds
from orchestrator.app.batch_folders import LEDGER, new_folder, new_id
from orchestrator.app.clock import utc_now
from orchestrator.app.history.absent_batches import absent_batches
from orchestrator.app.occurrences.schedules import schedule_of
from orchestrator.ledger import BatchLock, create_ledger
from orchestrator.ledger.stores import discard_abandoned, keep_spec, made_ledger
from orchestrator.model.batches import (
    Batch,
    BatchPlan,
    FailureLimit,
    LocalPlatformPlan,
    OnUnconfirmed,
    PoolLimits,
    ResultsFormat,
    ResultsPlan,
    Retention,
    Trigger,
)
from orchestrator.model.ids import BatchName
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import Job
from orchestrator.model.selection import EVERYTHING, Choice
from orchestrator.specfile import LoadedSpec, expand
from orchestrator.specfile.batch_end import ResultsTable, RetentionTable
from orchestrator.specfile.jobs.item_checks import item_rows_of
from orchestrator.specfile.notify_urls import plan_of_table
from orchestrator.store.disk_writes import write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """
    The request of one `run`.

    Attributes:
        params: the `--param` values, as typed.
        choice: the jobs of the spec that are selected.
        occurrence: the time that the batch is for, in UTC.
        schedule: of the settings, for a spec that has none; None if they have none either.
        triggered_by: the command that triggers it.
        platform: a base URL, or `LOCAL`.
        account: the user id, if it is already known.
        local: set for `--local`.
        caller: what called the command.
        shares: whether other processes work on the batch, too.
        remote: the URL of the object store, if `--output` names one.
    """

    loaded: LoadedSpec
    output: Path
    params: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = EVERYTHING
    occurrence: datetime
    schedule: str | None = None
    triggered_by: Trigger = Trigger.RUN
    platform: str
    account: str | None = None
    local: LocalPlatformPlan | None = None
    remote: str | None = None
    caller: str = ""
    shares: bool = False


@contextmanager
def prepared_batch(request: RunRequest) -> Iterator[Path]:
    """
    A hidden folder with a new batch, locked by this process; removed if it is not published.

    Raises:
        SpecError: with every mistake.
        OutputNotWritable, DiskFull.
    """
    loaded = request.loaded
    now = utc_now()
    day = schedule_of(loaded.spec.batch, request.schedule).day_of(request.occurrence)
    batch = Batch(
        id=new_id(now),
        name=BatchName(loaded.spec.batch.name),
        mark=new_mark(),
        created_at=now,
        plan=plan_of(
            loaded,
            params=request.params,
            choice=request.choice,
            day=day,
            local=request.local,
            remote=request.remote,
            schedule=request.schedule,
        ),
        occurrence=request.occurrence,
        triggered_by=request.triggered_by,
        platform=request.platform,
        account=request.account,
    )
    with (
        new_folder(request.output, batch.name, batch.id) as folder,
        BatchLock(folder, is_shared=request.shares) as lock,
    ):
        jobs = expand(
            loaded,
            params=request.params,
            env=os.environ,
            today=day,
            output=request.output,
            is_local=request.local is not None,
            absent=absent_batches(request.output, is_local=request.local is not None),
            tell=doubt_rows,
        )
        with made_ledger(folder / LEDGER):
            chosen = _chosen(request, jobs)
            create_ledger(folder / LEDGER, batch, chosen, caller=request.caller)
            lock.cover_ledger()
            write_file(folder / f"spec{loaded.ending}", [loaded.source])
            discard_abandoned(folder / LEDGER, batch.name)
            keep_spec(folder / LEDGER, f"spec{loaded.ending}", loaded.source)
            yield folder


def _chosen(request: RunRequest, jobs: Iterator[Job]) -> Iterator[Job]:
    """The jobs of the batch; those of most batches are not remembered."""
    tables = (request.loaded.spec.defaults, *request.loaded.spec.jobs)
    if request.choice == EVERYTHING or not any(table.needs for table in tables):
        return request.choice.of(jobs)
    return LeftOutNeeds().chosen(request.choice, jobs)


def plan_of(
    loaded: LoadedSpec,
    *,
    params: Mapping[str, str],
    choice: Choice,
    day: date,
    local: LocalPlatformPlan | None,
    remote: str | None = None,
    schedule: str | None = None,
) -> BatchPlan:
    """
    The part of a spec that applies to the batch as a whole.

    Args:
        schedule: of the settings, for a spec that has none.
    """
    asked = loaded.spec.batch
    return BatchPlan(
        spec_path=str(loaded.path.absolute()),
        spec_sha256=loaded.sha256,
        max_runs=asked.max_runs,
        max_memory_mbytes=asked.max_memory_mbytes,
        max_cost_usd=asked.max_cost_usd,
        stop_after_failures=_failure_limit(asked.stop_after_failures),
        deadline_secs=asked.deadline_secs,
        results=_results(loaded.spec.results),
        retention=_retention(loaded.spec.retention),
        pools={
            name: PoolLimits(max_runs=pool.max_runs, starts_per_minute=pool.starts_per_minute)
            for name, pool in loaded.spec.pools.items()
        },
        on_unconfirmed=OnUnconfirmed(asked.on_unconfirmed),
        params=dict(params),
        choice=choice,
        day=day.isoformat(),
        schedule=asked.schedule or schedule,
        timezone=asked.timezone,
        local=local,
        remote=remote,
        notify=plan_of_table(loaded.spec.notify),
        sweeps=sweeps_of(loaded, params, day),
        max_jobs=asked.max_jobs,
    )


def sweeps_of(loaded: LoadedSpec, params: Mapping[str, str], day: date) -> tuple[ItemSweep, ...]:
    """The sweeps whose rows are items; a spec with mistakes is refused when it is expanded."""
    if not any(item_rows_of(table.matrix) for table in loaded.spec.jobs):
        return ()
    from orchestrator.specfile.items import item_sweeps

    return item_sweeps(loaded, params=params, today=day)


def _results(asked: ResultsTable | None) -> ResultsPlan | None:
    if asked is None:
        return None
    return ResultsPlan(
        format=ResultsFormat(asked.format),
        partition_by=tuple(asked.partition_by or ()),
        unique=tuple(asked.unique or ()),
        unique_missing=asked.unique_missing,
        new_only=asked.new_only,
        types=dict(asked.types),
        csv_safe=asked.csv_safe,
    )


def _retention(asked: RetentionTable | None) -> Retention | None:
    if asked is None or (asked.keep_last is None and asked.keep_days is None):
        return None
    return Retention(keep_last=asked.keep_last, keep_days=asked.keep_days)


def _failure_limit(asked: int | str | None) -> FailureLimit | None:
    if isinstance(asked, str):
        return FailureLimit(share=float(asked.rstrip("% ")) / 100)
    return None if asked is None else FailureLimit(count=asked)


def new_mark() -> str:
    """Seven random characters of `a-z0-9`: two batches of one account do not get the same."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(7))
