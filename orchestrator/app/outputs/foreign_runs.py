"""
A batch of foreign runs: they are collected, merged and reported like the runs of a spec.

Nothing is started. Live runs are followed until they end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.apify.models import Run
from orchestrator.app.account.batch_account import account_of
from orchestrator.app.batch.creation import new_mark
from orchestrator.app.batch.lifecycle import Result, follow_batch
from orchestrator.app.batch_folders import LEDGER, batches, new_folder, new_id
from orchestrator.app.publishing import publish
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import InputRejected, NotFound, PermanentError, UnknownTarget, UsageError
from orchestrator.ledger import BatchLock, LedgerReader, create_ledger
from orchestrator.ledger.amendments import add_runs
from orchestrator.ledger.stores import made_ledger
from orchestrator.model.batches import Batch, BatchPlan, Trigger
from orchestrator.model.ids import BatchName, JobKey, RunId
from orchestrator.model.jobs import Job, Target, TargetKind
from orchestrator.platform_address import root_of

AT_ONCE = 16
PAGE = 1000
SHOWN = 5
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsRequest:
    """
    The runs of a batch.

    Attributes:
        name: of the batch.
        runs: their ids.
        task: selects the runs of this task instead; an id or `me/name`.
        last: the greatest age of these runs.
    """

    name: str
    runs: Sequence[str] = ()
    task: str | None = None
    last: timedelta | None = None


async def collect_runs(request: RunsRequest, context: BatchContext) -> Result:
    """
    Makes a batch of runs and collects it.

    Raises:
        UsageError: a run or the task does not exist, or batches of a spec have the name; no batch
            is made.
        PlatformError.
    """
    settings = context.settings
    _check_name(settings.output / request.name, request.name)
    now = datetime.now(UTC)
    async with connected_client(None, context) as client:
        runs = await _runs(client, request, now)
        account = await account_of(client)
    batch = Batch(
        id=new_id(now),
        name=BatchName(request.name),
        mark=new_mark(),
        created_at=now,
        plan=BatchPlan(spec_path="", spec_sha256="", remote=settings.remote),
        occurrence=now,
        triggered_by=Trigger.COLLECT,
        platform=root_of(settings.api_base_url),
        account=account,
    )
    with new_folder(settings.output, batch.name, batch.id) as prepared, BatchLock(prepared) as lock:
        with made_ledger(prepared / LEDGER):
            create_ledger(
                prepared / LEDGER, batch, map(_job, range(len(runs)), runs), caller=context.caller
            )
            lock.cover_ledger()
            add_runs(prepared / LEDGER, [run.facts() for run in runs], now)
            folder = await publish(prepared, batch, lambda _: None)
        return await follow_batch(folder, context)


def is_of_foreign_runs(batch: Batch) -> bool:
    """Whether a batch has foreign runs, whose inputs are not known."""
    return batch.triggered_by is Trigger.COLLECT


def refuse_to_start(folder: Path) -> None:
    """
    Refuses to start jobs of such a batch again.

    Raises:
        UsageError: it has foreign runs.
    """
    with LedgerReader(folder / LEDGER) as reader:
        if is_of_foreign_runs(reader.batch()):
            raise UsageError(
                f"{folder}: its runs were started by another program, and their inputs are not "
                "known; orchestrator collect downloads what is missing, and orchestrator import "
                "RUN_ID makes a spec from a run"
            )


def _check_name(home: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r} is not valid as a folder: use 1 to 100 of A-Z, a-z, 0-9, _, - and ., "
            "and no dot at the start"
        )
    for folder in batches(home):
        with LedgerReader(folder / LEDGER) as reader:
            if not is_of_foreign_runs(reader.batch()):
                raise UsageError(
                    f"{home} has batches of a spec, and a batch of foreign runs must not be among "
                    "them; choose another --name"
                )


async def _runs(client: ApifyClient, request: RunsRequest, now: datetime) -> list[Run]:
    """The runs, each once, in the order of the request or of their starts."""
    ids = list(request.runs)
    if request.task is not None:
        ids = await _runs_of_task(client, request.task, now - (request.last or timedelta(0)))
        if not ids:
            raise UsageError(f"task {request.task}: no run began in the time that --last names")
    found: dict[str, Run] = {}
    missing: list[str] = []
    turns = anyio.Semaphore(AT_ONCE)

    async def look_up(run_id: str) -> None:
        async with turns:
            try:
                found[run_id] = await client.runs.get(RunId(run_id))
            except (NotFound, InputRejected) as error:
                missing.append(f"run {run_id}: {error.message}")

    async with anyio.create_task_group() as lookups:
        for run_id in dict.fromkeys(ids):
            lookups.start_soon(partial(look_up, run_id), name=f"run {run_id}")
    if missing:
        more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise UsageError("; ".join(sorted(missing)[:SHOWN]) + more)
    runs = {found[run_id].id: found[run_id] for run_id in dict.fromkeys(ids)}
    for run_id in runs:
        if not NAME.fullmatch(run_id):
            raise UsageError(f"the platform sent a run with the id {run_id!r}, which is not valid")
    return list(runs.values())


async def _runs_of_task(client: ApifyClient, task: str, since: datetime) -> list[str]:
    """The ids of a task's runs since a time, the oldest first."""
    target = Target(kind=TargetKind.TASK, id=task)
    found: dict[str, None] = {}
    offset = 0
    while True:
        try:
            page = await client.runs.list(target=target, desc=True, limit=PAGE, offset=offset)
        except (NotFound, PermanentError) as error:
            raise UnknownTarget(f"task {task}: {error}") from error
        young = [run.id for run in page.items if run.started_at and run.started_at >= since]
        found.update(dict.fromkeys(young))
        offset += len(page.items)
        # The newest come first: after one that is too old, all are.
        if len(young) < len(page.items) or len(page.items) < PAGE:
            return list(reversed(found))


def _job(seq: int, run: Run) -> Job:
    kind = TargetKind.TASK if run.actor_task_id else TargetKind.ACTOR
    target = Target(kind=kind, id=run.actor_task_id or run.act_id or "unknown")
    return Job(seq=seq, key=JobKey(run.id), target=target)
