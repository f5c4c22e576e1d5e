"""The costs of runs, as the platform reports them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.apify import ApifyClient
from orchestrator.app.batch.final_files import write_reports
from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.app.batch.progress_events import BatchEvents
from orchestrator.app.batch.progress_tracker import ProgressTracker
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.clock import utc_now
from orchestrator.app.setup.context import Connect, client_options
from orchestrator.app.setup.settings import Settings
from orchestrator.errors import BatchHeld, PlatformError
from orchestrator.group_worker import InlineWorker
from orchestrator.ledger import BatchLock, Ledger, LedgerReader, open_ledger
from orchestrator.ledger.transactions import commit_group
from orchestrator.loop_clock import loop_time
from orchestrator.model.attempts import CLOCK_UNCERTAINTY
from orchestrator.model.ids import RunId
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import RunListing, asked_at
from orchestrator.scheduler.run_search import RunFinder

LONGEST_SECS = 5.0


async def update_costs(batch: OpenBatch) -> None:
    """
    Updates the costs of the runs of a batch; aborts the orphan runs that the lists show.

    Raises:
        PlatformError: the lists cannot be read.
    """
    ledger, reader, client = batch.ledger, batch.reader, batch.client
    began_at = loop_time()
    orphans = Orphans(
        ledger=ledger,
        client=client,
        observer=BatchEvents(ProgressTracker(0.0)),
        given_up=reader.given_up(),
        utc_now=utc_now,
    )
    since = reader.began_at() or ledger.batch.created_at - CLOCK_UNCERTAINTY
    costs = await _costs_of(client, reader.runs(), since)
    await ledger.record_costs(costs, asked_at(client, utc_now, began_at), are_all=True)
    await RunFinder(client, orphans, reader.run_targets()).search_for_orphans()


async def refresh_from(folder: Path, settings: Settings, connect: Connect) -> None:
    """
    Updates the costs as `refresh_costs`, from the platform of the settings, in a few seconds.

    Raises:
        OrchestratorError: as `refresh_costs`; there is no token; no answer came in time.
    """
    async with connect(None) as endpoint:
        options = replace(client_options(endpoint, settings), away_secs=0.0)
        with anyio.move_on_after(LONGEST_SECS) as scope:
            async with ApifyClient(options) as client:
                await refresh_costs(folder, client)
    if scope.cancelled_caught:
        raise PlatformError(
            f"{endpoint.base_url} did not send the costs in {LONGEST_SECS:g} s; `orchestrator "
            "collect` waits longer"
        )


async def refresh_costs(folder: Path, client: ApifyClient) -> None:
    """
    Updates the costs of a batch that no process runs, and the reports that show them.

    The lock is held only while they are written. Nothing is written if another process holds it.

    Raises:
        PlatformError: the lists cannot be read.
        DiskFull, OutputLost, UsageError: the old figures stay.
    """
    with LedgerReader(folder / LEDGER) as reader:
        since = reader.began_at() or reader.batch().created_at - CLOCK_UNCERTAINTY
        runs = reader.runs()
    began_at = loop_time()
    costs = await _costs_of(client, runs, since)

    when = asked_at(client, utc_now, began_at)

    async def record() -> None:
        with open_ledger(folder / LEDGER) as db:
            worker = InlineWorker(partial(commit_group, db))
            await Ledger(db, worker).record_costs(costs, when, are_all=bool(costs))

    def write() -> None:
        with LedgerReader(folder / LEDGER) as reader:
            write_reports(folder, reader.batch(), reader, reader.totals())

    try:
        with BatchLock(folder, "costs"), anyio.CancelScope(shield=True):
            await record()
            await to_thread.run_sync(write)
    except BatchHeld:
        return


async def _costs_of(
    client: ApifyClient, missing: set[RunId], since: datetime
) -> dict[RunId, Decimal | None]:
    """
    The costs of runs, a thousand in a request; runs that are not listed any more are left out.

    Args:
        missing: all of them; those that are found are removed.
        since: when the first of them was started, by the platform's clock.
    """
    costs: dict[RunId, Decimal | None] = {}
    if missing:
        async for item in RunListing(client, since):
            run = item.facts()
            if run.id in missing:
                missing.discard(run.id)
                costs[run.id] = run.cost_usd
            if not missing:
                break
    return costs
