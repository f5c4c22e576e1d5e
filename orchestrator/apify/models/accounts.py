"""The account behind a token, its limits and its usage (API reference, "Users")."""

from __future__ import annotations

from pydantic import Field, JsonValue

from orchestrator.apify.models.base import Number, Time, Usd, Whole, WireModel


class Profile(WireModel):
    """What an account shows of itself."""

    bio: str | None = None
    name: str | None = None
    picture_url: str | None = None
    github_username: str | None = None
    website_url: str | None = None
    twitter_username: str | None = None


class ProxyGroup(WireModel):
    """
    A group of proxies that the account may use.

    Attributes:
        available_count: how many proxies of the group.
    """

    name: str | None = None
    description: str | None = None
    available_count: Whole | None = None


class Proxy(WireModel):
    """The account's access to proxies; the password is a secret."""

    password: str | None = Field(None, repr=False)
    groups: list[ProxyGroup] | None = None


class Plan(WireModel):
    """
    The account's plan.

    Attributes:
        monthly_base_price_usd: what it costs a month.
        monthly_usage_credits_usd: usage that this price includes.
        max_actor_memory_gbytes: memory of all runs and builds together, in gigabytes.
        max_monthly_actor_compute_units: gigabytes of memory times hours.
        data_retention_days: how long unnamed storages are kept.
        available_proxy_groups: number of proxies by group.
        max_concurrent_actor_runs: runs at once.
    """

    id: str | None = None
    description: str | None = None
    is_enabled: bool | None = None
    monthly_base_price_usd: Usd | None = None
    monthly_usage_credits_usd: Usd | None = None
    usage_discount_percent: Number | None = None
    enabled_platform_features: list[str] | None = None
    max_monthly_usage_usd: Usd | None = None
    max_actor_memory_gbytes: Number | None = None
    max_monthly_actor_compute_units: Number | None = None
    max_monthly_residential_proxy_gbytes: Number | None = None
    max_monthly_proxy_serps: Number | None = None
    max_monthly_external_data_transfer_gbytes: Number | None = None
    max_actor_count: Number | None = None
    max_actor_task_count: Number | None = None
    data_retention_days: Number | None = None
    available_proxy_groups: dict[str, Number] | None = None
    team_account_seat_count: Number | None = None
    support_level: str | None = None
    available_add_ons: list[str] | None = None
    tier: str | None = None
    api_rate_limit_boosts: Number | None = None
    max_schedule_count: Number | None = None
    max_concurrent_actor_runs: Number | None = None
    plan_pricing: dict[str, JsonValue] | None = None


class PlatformFeature(WireModel):
    """Whether the account may use a part of the platform, and if not, why."""

    is_enabled: bool | None = None
    disabled_reason: str | None = None
    disabled_reason_type: str | None = None
    is_trial: bool | None = None
    trial_expiration_at: Time | None = None


class Account(WireModel):
    """
    The account that a token belongs to.

    Attributes:
        effective_platform_features: by name, such as `ACTORS`.
        is_paying: whether it pays for a plan.
    """

    id: str | None = None
    username: str | None = None
    profile: Profile | None = None
    email: str | None = None
    proxy: Proxy | None = None
    plan: Plan | None = None
    effective_platform_features: dict[str, PlatformFeature] | None = None
    created_at: Time | None = None
    is_paying: bool | None = None


class UsageCycle(WireModel):
    """A month of billing; both ends in UTC."""

    start_at: Time | None = None
    end_at: Time | None = None


class Limits(WireModel):
    """
    What the account may use at most.

    Attributes:
        max_monthly_usage_usd: money a month.
        max_monthly_actor_compute_units: gigabytes of memory times hours.
        max_actor_memory_gbytes: memory of all runs and builds together, in gigabytes; the memory
            of runs is told in megabytes.
        max_concurrent_actor_jobs: runs and builds at once, of all that use the account.
        data_retention_days: how long unnamed storages are kept.
    """

    max_monthly_usage_usd: Usd | None = None
    max_monthly_actor_compute_units: Number | None = None
    max_monthly_external_data_transfer_gbytes: Number | None = None
    max_monthly_proxy_serps: Whole | None = None
    max_monthly_residential_proxy_gbytes: Number | None = None
    max_actor_memory_gbytes: Number | None = None
    max_actor_count: Whole | None = None
    max_actor_task_count: Whole | None = None
    max_concurrent_actor_jobs: Whole | None = None
    max_team_account_seat_count: Whole | None = None
    data_retention_days: Whole | None = None
    max_schedule_count: Whole | None = None


class CurrentUse(WireModel):
    """
    What the account uses now; a snapshot that may lag.

    Attributes:
        monthly_usage_usd: spent in this cycle.
        actor_memory_gbytes: memory of all runs and builds that go on, in gigabytes.
        active_actor_job_count: runs and builds that go on.
    """

    monthly_usage_usd: Usd | None = None
    monthly_actor_compute_units: Number | None = None
    monthly_external_data_transfer_gbytes: Number | None = None
    monthly_proxy_serps: Whole | None = None
    monthly_residential_proxy_gbytes: Number | None = None
    actor_memory_gbytes: Number | None = None
    actor_count: Whole | None = None
    actor_task_count: Whole | None = None
    active_actor_job_count: Whole | None = None
    team_account_seat_count: Whole | None = None
    schedule_count: Whole | None = None


class AccountLimits(WireModel):
    """The account's limits, and how much of them is used."""

    monthly_usage_cycle: UsageCycle | None = None
    limits: Limits | None = None
    current: CurrentUse | None = None


class PriceTier(WireModel):
    """
    One step of a volume discount.

    Attributes:
        quantity_above: where the step begins.
        discount_percent: of the base price.
        tier_quantity: how much was used within the step.
    """

    quantity_above: Number | None = None
    discount_percent: Number | None = None
    tier_quantity: Number | None = None
    unit_price_usd: Usd | None = None
    price_usd: Usd | None = None


class UsageItem(WireModel):
    """
    What was used of one service, and what it costs.

    Attributes:
        quantity: in the service's own unit.
        base_amount_usd: before the volume discount.
    """

    quantity: Number | None = None
    base_amount_usd: Usd | None = None
    base_unit_price_usd: Usd | None = None
    amount_after_volume_discount_usd: Usd | None = None
    price_tiers: list[PriceTier] | None = None


class DailyUsage(WireModel):
    """What was used on one day, by service."""

    date: str | None = None
    service_usage: dict[str, UsageItem] | None = None
    total_usage_credits_usd: Usd | None = None


class MonthlyUsage(WireModel):
    """What was used in one billing cycle, by service and by day."""

    usage_cycle: UsageCycle | None = None
    monthly_service_usage: dict[str, UsageItem] | None = None
    daily_service_usages: list[DailyUsage] | None = None
    total_usage_credits_usd_before_volume_discount: Usd | None = None
    total_usage_credits_usd_after_volume_discount: Usd | None = None
