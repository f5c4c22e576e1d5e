"""Actors, tasks and builds (API reference, "Get Actor", "Get task", "Get build")."""

from __future__ import annotations

from pydantic import JsonValue

from orchestrator.apify.models.base import Time, Usd, Whole, WireModel


class TieredEventPrice(WireModel):
    """The price of one event in one pricing tier."""

    tiered_event_price_usd: Usd | None = None


class TieredItemPrice(WireModel):
    """The price of one item in one pricing tier."""

    tiered_price_per_unit_usd: Usd | None = None


class ChargeEvent(WireModel):
    """
    An event that a pay-per-event Actor charges for.

    Attributes:
        event_price_usd: of one event; absent where prices are tiered.
        event_tiered_pricing_usd: by the name of the tier.
    """

    event_price_usd: Usd | None = None
    event_tiered_pricing_usd: dict[str, TieredEventPrice] | None = None


class PricingPerEvent(WireModel):
    """The events of a pay-per-event Actor, by name."""

    actor_charge_events: dict[str, ChargeEvent] | None = None


class PricingInfo(WireModel):
    """
    What an Actor's runs cost, for every pricing model.

    Attributes:
        pricing_model: `PAY_PER_EVENT`, `PRICE_PER_DATASET_ITEM`, `FLAT_PRICE_PER_MONTH` or `FREE`.
        started_at: when this price begins.
        minimal_max_total_charge_usd: the least cap on its cost that a run may be given.
        unit_name: what is counted, for a price per item.
        price_per_unit_usd: of one item, or of one month.
        tiered_pricing: price per item by the name of the tier.
    """

    pricing_model: str | None = None
    started_at: Time | None = None
    pricing_per_event: PricingPerEvent | None = None
    minimal_max_total_charge_usd: Usd | None = None
    unit_name: str | None = None
    price_per_unit_usd: Usd | None = None
    tiered_pricing: dict[str, TieredItemPrice] | None = None


class DefaultRunOptions(WireModel):
    """
    What a run of an Actor gets where its start does not set it.

    Attributes:
        timeout_secs: 0 means none.
        memory_mbytes: in megabytes.
    """

    timeout_secs: Whole | None = None
    memory_mbytes: Whole | None = None


class Actor(WireModel):
    """
    An Actor.

    Attributes:
        name: without the owner's.
        username: the owner's.
        tagged_builds: by tag; None where a tag has no build.
        pricing_infos: past, present and announced.
    """

    id: str
    name: str | None = None
    username: str | None = None
    pricing_infos: list[PricingInfo] | None = None
    default_run_options: DefaultRunOptions | None = None
    tagged_builds: dict[str, JsonValue] | None = None


class TaskOptions(WireModel):
    """
    What a run of a task gets where its start does not set it; None leaves it to the Actor.

    Attributes:
        timeout_secs: 0 means none.
        memory_mbytes: in megabytes.
    """

    timeout_secs: Whole | None = None
    memory_mbytes: Whole | None = None
    max_total_charge_usd: Usd | None = None


class Task(WireModel):
    """
    A task: an Actor with an input and options of its own.

    Attributes:
        act_id: of the Actor that it runs.
        name: without the owner's.
    """

    id: str
    act_id: str = ""
    name: str | None = None
    options: TaskOptions | None = None


class Build(WireModel):
    """
    A build of an Actor.

    Attributes:
        status: the platform's word, as for runs.
    """

    id: str
    status: str = ""
