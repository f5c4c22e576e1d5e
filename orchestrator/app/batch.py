"""
Starts, resumes or aborts one batch: looks at the platform first, and then drives the scheduler.

What drives is imported after the look: reading it takes as long as the platform's first answers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from orchestrator.app.context import (
    BatchContext,
    Endpoint,
    client_options,
    connected,
)
from orchestrator.app.folders import LEDGER, mend_latest, publish
from orchestrator.app.preflight import look_before_start
from orchestrator.app.remote import check_remote, uploaded
from orchestrator.app.room import ANY_ROOM, Room, limits_of
from orchestrator.app.secrets import require_secrets
from orchestrator.client import ApifyClient
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import LedgerReader, open_ledger
from orchestrator.ledger.reading import Totals
from orchestrator.model.batches import Batch

PREFLIGHT_AWAY_SECS = 12.0
"""
How long a platform that is away is waited for before anything was started.
"""

EARLIER_SECS = 10.0
"""
How much longer earlier batches may be looked after than the batch that is run.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    How this process left a batch.

    Attributes:
        reason: why it was left early; None when every job is settled.
        warnings: what people should know of earlier batches.
    """

    folder: Path
    batch: Batch
    totals: Totals
    reason: OrchestratorError | None
    warnings: Sequence[str] = ()


async def start_prepared(prepared: Path, context: BatchContext) -> Result:
    """
    Looks at the platform, then gives a prepared batch its name and runs it.

    Raises:
        UsageError, PlatformError: nothing was started, and the batch is not published.
    """
    with LedgerReader(prepared / LEDGER) as reader:
        batch = reader.batch()
    async with connected(batch, context) as endpoint:
        room = await _look(prepared, endpoint, context, refuses_missing=True)
        await check_remote(prepared, batch)
        folder = publish(prepared, batch.id)
        warnings: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tend_earlier, folder, endpoint, context, warnings, name="earlier")
            result = await _drive(folder, endpoint, room, context, is_new=True)
            # A short batch does not wait long for what was not its own.
            tasks.cancel_scope.deadline = anyio.current_time() + (
                EARLIER_SECS if result.reason is None else 0.0
            )
        return replace(result, warnings=warnings)


async def resume_batch(folder: Path, context: BatchContext) -> Result:
    """
    Goes on with a batch that this process holds the lock of.

    Raises:
        UsageError, PlatformError: nothing was started.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
        require_secrets(reader.rendered_late(), os.environ)
    mend_latest(folder, batch.name)
    async with connected(batch, context) as endpoint:
        room = await _look(folder, endpoint, context, refuses_missing=False)
        return await _drive(folder, endpoint, room, context)


async def follow_batch(folder: Path, context: BatchContext) -> Result:
    """
    Follows and collects the runs of a batch that this process holds the lock of.

    It must have no job that waits for a start: no room is looked for.

    Raises:
        PlatformError: the platform cannot be reached.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    async with connected(batch, context) as endpoint:
        return await _drive(folder, endpoint, ANY_ROOM, context)


async def abort_batch(folder: Path, context: BatchContext) -> Result:
    """
    Aborts the live runs of a batch that this process holds the lock of, and keeps what they made.

    Jobs that wait are left waiting: the batch can be resumed.

    Raises:
        PlatformError: the platform cannot be reached.
    """
    with open_ledger(folder / LEDGER), LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    async with connected(batch, context) as endpoint:
        return await _drive(folder, endpoint, ANY_ROOM, context, aborting=True)


async def _tend_earlier(
    folder: Path, endpoint: Endpoint, context: BatchContext, warnings: list[str]
) -> None:
    from orchestrator.app.earlier import tend_earlier

    await tend_earlier(folder, endpoint, context, warnings)


async def _look(
    folder: Path, endpoint: Endpoint, context: BatchContext, *, refuses_missing: bool
) -> Room:
    with LedgerReader(folder / LEDGER) as reader:
        batch, demands, has_runs = reader.batch(), reader.demands(), reader.has_open_attempts()
    options = client_options(endpoint, context.settings)
    async with ApifyClient(replace(options, away_secs=PREFLIGHT_AWAY_SECS)) as client:
        has_budget = batch.plan.max_cost_usd is not None
        room = await look_before_start(
            client,
            demands,
            has_budget=has_budget,
            refuses_missing=refuses_missing,
            has_runs=has_runs,
        )
    limits_of(batch.plan, room, demands, context.settings)
    return room


async def _drive(
    folder: Path,
    endpoint: Endpoint,
    room: Room,
    context: BatchContext,
    *,
    aborting: bool = False,
    is_new: bool = False,
) -> Result:
    from orchestrator.app.driving import drive

    batch, totals, reason = await drive(
        folder, endpoint, room, context, aborting=aborting, is_new=is_new
    )
    batch = await uploaded(folder, batch)
    return Result(folder=folder, batch=batch, totals=totals, reason=reason)
