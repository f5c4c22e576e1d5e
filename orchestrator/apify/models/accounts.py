"""The account behind a token, its limits and its usage (API reference, "Users")."""

from __future__ import annotations

from orchestrator.apify.models.base import Number, Usd, Whole, WireModel


class Account(WireModel):
    """The account that a token belongs to."""

    id: str | None = None
    username: str | None = None


class Limits(WireModel):
    """
    What the account may use at most.

    Attributes:
        max_monthly_usage_usd: money a month.
        max_actor_memory_gbytes: memory of all runs and builds together, in gigabytes; a run states
            its memory in megabytes.
        max_concurrent_actor_jobs: runs and builds at once, of all that use the account.
        data_retention_days: how long unnamed storages are kept.
    """

    max_monthly_usage_usd: Usd | None = None
    max_actor_memory_gbytes: Number | None = None
    max_concurrent_actor_jobs: Whole | None = None
    data_retention_days: Whole | None = None


class CurrentUse(WireModel):
    """
    What the account uses now; a snapshot that may lag.

    Attributes:
        monthly_usage_usd: spent in this cycle.
    """

    monthly_usage_usd: Usd | None = None


class AccountLimits(WireModel):
    """The account's limits, and how much of them is used."""

    limits: Limits | None = None
    current: CurrentUse | None = None


class UsageItem(WireModel):
    """What was used of one service."""

    base_unit_price_usd: Usd | None = None


class MonthlyUsage(WireModel):
    """What was used in one billing cycle, by the name of the service."""

    monthly_service_usage: dict[str, UsageItem] | None = None
