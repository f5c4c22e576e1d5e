"""What a batch has spent so far, as its ledger shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.account_limits import Room
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.records import PoolStart, RunCost
from orchestrator.scheduler.decide.budget import NOTHING, Budget
from orchestrator.scheduler.decide.limits import WINDOW_SECS, Limits
from orchestrator.scheduler.decide.usage import Usage
from orchestrator.scheduler.timings import CLOCK_GRAIN_SECS

RATE_WINDOW = timedelta(seconds=WINDOW_SECS + 2)


def usage_now(
    reader: LedgerReader,
    limits: Limits,
    room: Room,
    *,
    settle_secs: float,
    client: ApifyClient,
    utc_now: Callable[[], datetime],
) -> Usage:
    """
    The limits, with the money that earlier processes have spent and the starts of the last minute.

    Call it in the event loop, whose clock it uses.

    Args:
        settle_secs: how long after the end of a run its cost is final.
        utc_now: the wall clock.
    """
    platform_now, now = client.platform_now(), anyio.current_time()
    usage = usage_of(
        limits,
        reader.run_costs(),
        room,
        settle_secs=settle_secs,
        platform_now=platform_now,
        now=now,
    )
    starts = reader.pool_starts((platform_now or utc_now()) - RATE_WINDOW)
    count_starts(usage, starts, platform_now=platform_now, wall=utc_now(), now=now)
    return usage


def usage_of(
    limits: Limits,
    costs: Iterable[RunCost],
    room: Room,
    *,
    settle_secs: float,
    platform_now: datetime | None,
    now: float,
) -> Usage:
    """
    The limits, with the money that earlier processes have spent.

    Args:
        costs: of attempts that are over, and of orphan runs.
        settle_secs: how long after the end of a run its cost is final.
        platform_now: the time of the platform's clock; None if it is not known.
        now: the monotonic clock.
    """
    if limits.max_cost_usd is None:
        return Usage(limits)
    budget = Budget(limits.max_cost_usd, settle_secs)
    for cost in costs:
        reserved = _reserved(cost, room)
        if cost.run_id is None:
            budget.reserve(reserved)
            budget.lost(reserved)
            continue
        settles_in = settle_secs
        if cost.ended_at is not None and platform_now is not None:
            # By the platform's clock; the cost is final after `settle_secs` at the latest.
            age = (platform_now - cost.ended_at).total_seconds()
            settles_in = min(max(0.0, settle_secs - age), settle_secs)
        budget.add_ended(cost.run_id, reserved, cost.cost_usd, now + settles_in)
        if _is_final(cost, settle_secs):
            budget.set_final(cost.run_id, cost.cost_usd)
    return Usage(limits, budget)


def count_starts(
    usage: Usage,
    starts: Iterable[PoolStart],
    *,
    platform_now: datetime | None,
    wall: datetime,
    now: float,
) -> None:
    """
    Counts the starts of earlier processes against `starts_per_minute`.

    Args:
        platform_now: the time of the platform's clock; None if it is not known.
        wall: the time of this machine's clock.
        now: the monotonic clock.
    """
    ages = []
    for start in starts:
        known = start.platform_at is not None and platform_now is not None
        begun, by = (start.platform_at, platform_now) if known else (start.intent_at, wall)
        assert begun is not None and by is not None  # noqa: S101, PT018 - see `known`
        # No start is in the future, even if a clock was set back.
        age = (by - begun).total_seconds() - CLOCK_GRAIN_SECS
        ages.append((max(0.0, age), start.pools))
    for age, pools in sorted(ages, reverse=True):
        usage.count_start(pools, now - age)


def _reserved(cost: RunCost, room: Room) -> Decimal:
    if cost.reserved_usd is not None:
        return cost.reserved_usd
    return NOTHING if cost.demand is None else room.claim_of(cost.demand).reserve_usd


def _is_final(cost: RunCost, settle_secs: float) -> bool:
    if cost.cost_at is None or cost.ended_at is None:
        return False
    return (cost.cost_at - cost.ended_at).total_seconds() >= settle_secs - 0.001
