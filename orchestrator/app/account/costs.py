"""The costs of runs, as the platform reports them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from orchestrator.scheduler.decide.id_map import IdMap
from orchestrator.scheduler.orphans import Orphans
from orchestrator.scheduler.run_list import ListedCosts, RecordCosts, RunListing, asked_at
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

    async def record(costs: Mapping[RunId, Decimal | None], *, are_all: bool = False) -> None:
        await ledger.record_costs(costs, asked_at(client, utc_now, began_at), are_all=are_all)

    await _read_costs(client, _ids_of(reader.runs()), since, record)
    await record({}, are_all=True)
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
        runs = _ids_of(reader.runs())
    began_at = loop_time()

    async def record(costs: Mapping[RunId, Decimal | None], *, are_all: bool = False) -> None:
        when = asked_at(client, utc_now, began_at)
        with open_ledger(folder / LEDGER) as db:
            worker = InlineWorker(partial(commit_group, db))
            await Ledger(db, worker).record_costs(costs, when, are_all=are_all)

    async def record_some(costs: Mapping[RunId, Decimal | None]) -> None:
        with BatchLock(folder, "costs"), anyio.CancelScope(shield=True):
            await record(costs)

    def write() -> None:
        with LedgerReader(folder / LEDGER) as reader:
            write_reports(folder, reader.batch(), reader, reader.totals())

    try:
        are_listed = await _read_costs(client, runs, since, record_some)
        with BatchLock(folder, "costs"), anyio.CancelScope(shield=True):
            await record({}, are_all=are_listed)
            await to_thread.run_sync(write)
    except BatchHeld:
        return


def _ids_of(runs: Iterable[RunId]) -> IdMap:
    ids = IdMap()
    for run_id in runs:
        ids.add(run_id)
    return ids


async def _read_costs(
    client: ApifyClient, runs: IdMap, since: datetime, record: RecordCosts
) -> bool:
    """
    Reads the costs of runs, a thousand in a request; some may not be listed any more.

    Args:
        since: when the first of them was started, by the platform's clock.
        record: receives them, some at a time.

    Returns:
        whether any of them is listed.
    """
    costs = ListedCosts(record)
    if runs:
        async for page in RunListing(client, since):
            for item in page:
                if item.id in runs:
                    await costs.add(item)
            if costs.found == len(runs):
                break
    await costs.hand_over()
    return costs.found > 0
