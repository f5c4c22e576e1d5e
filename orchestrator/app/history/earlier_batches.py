"""Looks at the last earlier batches: costs, results that expire, runs that are still live."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.apify import ApifyClient
from orchestrator.app.account.costs import refresh_costs
from orchestrator.app.batch_folders import LEDGER, Found, display
from orchestrator.app.clock import utc_now
from orchestrator.app.history.series import earlier_batches
from orchestrator.app.setup.context import BatchContext, Endpoint, client_options
from orchestrator.errors import NotFound
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.known_batches import read_batch
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.model.ids import RunId
from orchestrator.pasted_command import pasted_command
from orchestrator.report.expiry import expiry_warning

BATCHES = 3
"""How many earlier batches are updated."""

MOST_RUNS = 100
"""How many runs of an earlier batch are looked at."""

LONGEST_SECS = 300.0


async def update_earlier(
    folder: Path, endpoint: Endpoint, context: BatchContext, warnings: list[str]
) -> None:
    """
    Updates the last batches of the series of a batch, and looks for their live runs, meanwhile.

    Args:
        folder: of the batch that runs now.
        warnings: gets a sentence for each batch that people should know of.
    """
    with anyio.move_on_after(LONGEST_SECS):
        async with ApifyClient(
            client_options(endpoint, context.settings, context.timings)
        ) as client:
            own, earlier = await to_thread.run_sync(_last, folder)
            for found in earlier:
                try:
                    batch, totals, unended = await to_thread.run_sync(_read, found.folder)
                    if batch.plan.local != own.plan.local or is_held(found.folder):
                        continue
                    shown = display(found.folder)
                    found_out = (
                        expiry_warning(batch, totals, shown, utc_now()),
                        await _live_warning(batch, unended, shown, client),
                    )
                    warnings.extend(f"{shown}: {one}" for one in found_out if one)
                    if totals.cost_is_provisional:
                        await refresh_costs(found.folder, client)
                except Exception as error:  # noqa: BLE001 - this batch runs all the same
                    LOG.warning("earlier_batch_skipped", batch=found.folder.name, error=str(error))


async def _live_warning(
    batch: Batch, unended: Sequence[RunId], shown: str, client: ApifyClient
) -> str | None:
    """
    A warning if runs of a batch that no process follows still cost money; None if none does.

    Args:
        unended: its runs that were live when the ledger last heard of them.
        shown: its folder, as messages show it.
    """
    live = 0
    for run_id in unended[:MOST_RUNS]:
        with suppress(NotFound):
            live += not (await client.runs.get(run_id)).facts().is_terminal
    if not live:
        return None
    remedies = [f"`{pasted_command('abort', shown)}` aborts them"]
    if not batch.is_done:
        remedies.insert(0, f"`{pasted_command('resume', shown)}` continues with them")
    least = "at least " if len(unended) > MOST_RUNS else ""
    return f"{least}{live} of its runs are live and cost money: {', '.join(remedies)}"


def _last(folder: Path) -> tuple[Batch, list[Found]]:
    """The batch of a folder, and the last ones before it."""
    batch = read_batch(folder / LEDGER)
    return batch, list(islice(earlier_batches(folder, batch), BATCHES))


def _read(folder: Path) -> tuple[Batch, Totals, list[RunId]]:
    with LedgerReader(folder / LEDGER) as reader:
        return reader.batch(), reader.totals(), reader.live_runs()
