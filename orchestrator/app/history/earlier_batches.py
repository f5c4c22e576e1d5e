"""
What a night does for the nights before it: their costs as settled, and a word on what they left.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.apify import ApifyClient
from orchestrator.app.account.costs import refresh_costs
from orchestrator.app.batch_folders import LEDGER, display
from orchestrator.app.clock import utc_now
from orchestrator.app.history.estimates import earlier
from orchestrator.app.setup.context import BatchContext, Endpoint, client_options
from orchestrator.event_log import LOG
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.lock import is_held
from orchestrator.ledger.reader import read_batch
from orchestrator.ledger.statistics import Totals
from orchestrator.model.batches import Batch
from orchestrator.report.expiry import expiry_warning

LOOKED_BACK = 3
LONGEST_SECS = 300.0


async def tend_earlier(
    folder: Path, endpoint: Endpoint, context: BatchContext, warnings: list[str]
) -> None:
    """
    Looks after the last batches of the same name, while another one is run.

    Args:
        folder: of the batch that is run now.
        warnings: takes what people should know of them.
    """
    with anyio.move_on_after(LONGEST_SECS):
        async with ApifyClient(
            client_options(endpoint, context.settings, context.timings)
        ) as client:
            own = await to_thread.run_sync(read_batch, folder / LEDGER)
            for before in islice(earlier(folder, own), LOOKED_BACK):
                try:
                    batch, totals = await to_thread.run_sync(_look, before)
                    if batch.plan.local != own.plan.local or is_held(before):
                        continue
                    warning = expiry_warning(batch, totals, display(before), utc_now())
                    if warning:
                        warnings.append(f"{display(before)}: {warning}")
                    if totals.cost_is_provisional:
                        await refresh_costs(before, client)
                except Exception as error:  # noqa: BLE001 - no reason not to run this batch
                    LOG.warning("earlier_batch_skipped", batch=before.name, error=str(error))


def _look(folder: Path) -> tuple[Batch, Totals]:
    with LedgerReader(folder / LEDGER) as reader:
        return reader.batch(), reader.totals()
