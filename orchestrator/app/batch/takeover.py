"""
Takes over a batch from an earlier process: finds the runs of the account that belong to it.

The list of runs is read before the ledger. A run with a mark that no intent has was started by a
process that works on another copy of the ledger, or before the folder was restored from a backup.
The attempt that the mark names adopts the run if it has none; see `scheduler.orphans`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.app.batch.assembly import SchedulerOptions
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch_folders import LEDGER
from orchestrator.errors import OrchestratorError
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.location import has_ledger
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import CLOCK_UNCERTAINTY
from orchestrator.model.ids import RunId
from orchestrator.scheduler.observer import Observer
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import asked_at
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.scheduler.timings import CLOCK_GRAIN_SECS

MORE_PASSES = 4
PASS_EVERY_SECS = 5.0


def make_finder(batch: OpenBatch, options: SchedulerOptions, observer: Observer) -> RunFinder:
    """The finder of the runs of a batch; it aborts the runs that belong to no attempt."""
    orphans = Orphans(
        ledger=batch.ledger,
        client=batch.client,
        observer=observer,
        given_up=batch.reader.given_up(),
        utc_now=options.utc_now,
    )
    return RunFinder(
        batch.client,
        orphans,
        batch.reader.run_targets(),
        is_of_another=partial(_is_of_another, batch.folder),
        targets=options.room.defaults,
        agents_hidden=_warn_of_hidden_agents,
        timings=options.timings,
    )


async def take_over(batch: OpenBatch, options: SchedulerOptions, finder: RunFinder) -> None:
    """
    Reads the account's runs since the batch began: their costs, and the runs to adopt.

    Raises:
        TransientError, NotAuthorized: the platform is away, or refuses the token.
    """
    ledger, client, orphans = batch.ledger, batch.client, finder.orphans
    began_at = loop_time()
    # The machine's clock may have been wrong by a day when the batch was made.
    since = batch.reader.began_at() or ledger.batch.created_at - CLOCK_UNCERTAINTY

    async def record(costs: Mapping[RunId, Decimal | None], *, are_all: bool = False) -> None:
        when = asked_at(client, options.utc_now, began_at)
        await ledger.record_costs(costs, when, are_all=are_all)

    is_readable = await finder.read_own_runs(since, record)
    for _ in range(MORE_PASSES):
        if is_readable and not finder.has_unread:
            break
        # With one wrong answer, runs of another process would be started again.
        await anyio.sleep(PASS_EVERY_SECS)
        is_readable = await finder.read_own_runs(since, record)
    if not is_readable:
        LOG.warning("runs_not_listed", consequence="runs of another process are not noticed")
        return
    platform_now = client.platform_now() or options.utc_now()
    orphans.took_over_at = platform_now + timedelta(seconds=CLOCK_GRAIN_SECS)
    await record({}, are_all=True)
    for run in await orphans.adopt_runs():
        LOG.warning("run_of_another_process_adopted", run=run.id, status=run.status)
    for run_id, target in batch.reader.run_targets():
        finder.claim(run_id, target)


async def _is_of_another(folder: Path, run_id: RunId) -> bool:
    return await to_thread.run_sync(_find_in_others, folder, run_id)


def _find_in_others(folder: Path, run_id: RunId) -> bool:
    for other in folder.parent.parent.glob("*/*"):
        if other != folder and has_ledger(other):
            # A ledger that cannot be read is skipped.
            with suppress(OrchestratorError, OSError), LedgerReader(other / LEDGER) as reader:
                if reader.has_run(run_id):
                    return True
    return False


def _warn_of_hidden_agents(reads: int) -> None:
    LOG.warning(
        "user_agents_hidden",
        runs_read=reads,
        consequence="a start whose answer is lost may not be found by its mark",
    )
