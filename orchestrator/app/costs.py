"""
What runs have cost by now, as the platform tells it.
"""

from __future__ import annotations

from decimal import Decimal

from orchestrator.app.assembly import utc_now
from orchestrator.app.events import BatchEvents
from orchestrator.client import ApifyClient
from orchestrator.ledger import Ledger
from orchestrator.model.ids import RunId
from orchestrator.report.progress import Progress
from orchestrator.scheduler.finding import RunFinder
from orchestrator.scheduler.strays import Strays


async def update_costs(ledger: Ledger, client: ApifyClient) -> None:
    """
    Brings the costs of a batch's runs up to date, a thousand runs a request.

    Runs that turn up too late on the way are ended.

    Raises:
        PlatformError: the lists cannot be read.
    """
    missing = set(await ledger.runs())
    costs: dict[RunId, Decimal] = {}
    strays = Strays(
        ledger=ledger,
        client=client,
        observer=BatchEvents(Progress(total=0, began_at=0.0)),
        given_up=await ledger.given_up(),
        utc_now=utc_now,
    )
    finder = RunFinder(client, strays, missing, utc_now=utc_now)
    if missing:
        async for item in finder.runs_since(ledger.batch.created_at):
            run = item.facts()
            if run.id in missing:
                missing.discard(run.id)
                if run.cost_usd is not None:
                    costs[run.id] = run.cost_usd
            if not missing:
                break
    await ledger.costs(costs)
    await finder.look_for_strays()
