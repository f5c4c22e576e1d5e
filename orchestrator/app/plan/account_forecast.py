"""What the account says about a plan: limits, usage, prices of Actors and their earlier runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room
from orchestrator.app.account.preflight import check_before_start
from orchestrator.app.account.pricing import Price, price_of
from orchestrator.app.plan.forecast import History, Taken
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import PlatformError
from orchestrator.event_log import LOG
from orchestrator.model.batches import BatchPlan
from orchestrator.model.jobs import Demand, Target, TargetKind
from orchestrator.model.states import RunStatus

RUNS_READ = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    What the account says; None where it says nothing.

    Attributes:
        prices: of the targets whose Actors publish them.
        used_usd: in this billing cycle, of `most_usd`.
    """

    room: Room
    prices: dict[Target, Price]
    used_usd: Decimal | None
    most_usd: Decimal | None


async def ask_account(
    plan: BatchPlan, context: BatchContext, demands: Collection[Demand], history: History
) -> Account:
    """
    Looks up the targets and the limits, and adds earlier runs to a history that lacks them.

    Raises:
        UnknownTarget, PlatformError.
    """
    async with connected_client(plan.local, context) as client:
        has_budget = plan.max_cost_usd is not None
        room = await check_before_start(client, demands, has_budget=has_budget)
        prices: dict[Target, Price] = {}
        timed = {target for target, taken in history.by_target.items() if taken.secs}
        missing = {demand.target for demand in demands} - timed
        async with anyio.create_task_group() as lookups:
            for target in {demand.target for demand in demands}:
                lookups.start_soon(_look_up_price, client, target, prices, name=f"{target}")
            for target in missing:
                lookups.start_soon(_read_earlier_runs, client, target, history, name=f"{target}")
        try:
            answer = await client.account.get_limits()
        except PlatformError:
            return Account(room=room, prices=prices, used_usd=None, most_usd=None)
    return Account(
        room=room,
        prices=prices,
        used_usd=answer.current.monthly_usage_usd if answer.current else None,
        most_usd=answer.limits.max_monthly_usage_usd if answer.limits else None,
    )


async def _look_up_price(client: ApifyClient, target: Target, prices: dict[Target, Price]) -> None:
    try:
        actor_id = target.id
        if target.kind is TargetKind.TASK:
            actor_id = (await client.actors.get_task(target.id)).act_id
        infos = (await client.actors.get_actor(actor_id)).pricing_infos
    except PlatformError as error:
        # A token may be allowed to read a task and not its Actor.
        LOG.warning("price_not_read", target=str(target), error=str(error))
        return
    price = price_of(infos or [], datetime.now(UTC))
    if price is not None:
        prices[target] = price


async def _read_earlier_runs(client: ApifyClient, target: Target, history: History) -> None:
    try:
        page = await client.runs.list(
            target=target, status=[RunStatus.SUCCEEDED], desc=True, limit=RUNS_READ
        )
    except PlatformError as error:
        LOG.warning("runs_not_listed", target=str(target), error=str(error))
        return
    runs = [item.facts() for item in page.items]
    taken = history.by_target.setdefault(target, Taken())
    taken.secs = [
        (run.finished_at - run.started_at).total_seconds()
        for run in runs
        if run.finished_at is not None
    ]
    # What whole jobs of the series have cost says more.
    taken.costs = taken.costs or [float(run.cost_usd) for run in runs if run.cost_usd is not None]
