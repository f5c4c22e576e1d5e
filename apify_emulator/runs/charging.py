"""What a run with a pricing costs: its events, its items, and the cap that they stay below."""

from __future__ import annotations

import math
from typing import Any

from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.runs.run import Run

ACTOR_START = "apify-actor-start"
DATASET_ITEM = "apify-default-dataset-item"
_TIER = "FREE"
# Prices are decimal fractions, so sums of them are rounded to these digits.
_DIGITS = 10


def event_prices(pricing: dict[str, Any] | None) -> dict[str, float]:
    """Returns the price of each event of a pay-per-event pricing; empty for other pricings."""
    events = ((pricing or {}).get("pricingPerEvent") or {}).get("actorChargeEvents") or {}
    return {name: _event_price(event) for name, event in events.items()}


def item_price(pricing: dict[str, Any] | None) -> float | None:
    """Returns the price of one result; None for other pricings."""
    if pricing is None or pricing.get("pricingModel") != "PRICE_PER_DATASET_ITEM":
        return None
    if pricing.get("pricePerUnitUsd") is not None:
        return float(pricing["pricePerUnitUsd"])
    return _of_tier(pricing.get("tieredPricing") or {}, "tieredPricePerUnitUsd")


def charged_usd(run: Run) -> float | None:
    """Returns the price of what was charged; None if the run's pricing charges nothing."""
    per_item = item_price(run.pricing)
    if per_item is not None:
        cap = run.options.max_items
        count = run.paid_items if cap is None else min(run.paid_items, cap)
        return round(count * per_item, _DIGITS)
    prices = event_prices(run.pricing)
    if not prices:
        return None
    charged = (run.charged or {}).items()
    return round(sum(prices.get(name, 0.0) * count for name, count in charged), _DIGITS)


def charge_within_cap(run: Run, name: str, count: int) -> int:
    """
    Charges events, at most as many as the cap of the run allows; returns how many.

    The run is not saved.
    """
    price = event_prices(run.pricing).get(name, 0.0)
    cap = run.options.max_total_charge_usd
    if cap is not None and price > 0:
        left = cap - (charged_usd(run) or 0.0)
        count = min(count, max(math.floor(round(left / price, 6)), 0))
    charged = run.charged or {}
    if count:
        run.charged = {**charged, name: charged.get(name, 0) + count}
    return count


def item_limit(run: Run) -> int | None:
    """Returns how many items a well-behaved Actor creates at most; None without a limit."""
    per_item = item_price(run.pricing)
    limits = []
    if per_item is not None and run.options.max_items is not None:
        limits.append(run.options.max_items)
    price = per_item or event_prices(run.pricing).get(DATASET_ITEM)
    cap = run.options.max_total_charge_usd
    if cap is not None and price:
        left = cap if per_item else cap - _other_events_usd(run)
        limits.append(max(math.floor(round(left / price, 6)), 0))
    return min(limits, default=None)


def _other_events_usd(run: Run) -> float:
    prices = event_prices(run.pricing)
    charged = (run.charged or {}).items()
    return sum(prices.get(name, 0.0) * count for name, count in charged if name != DATASET_ITEM)


def charge_virtual_items(run: Run) -> None:
    """Charges the items of a simulated run that were not charged yet; the run is not saved."""
    fresh = run.items_made - run.paid_items
    run.paid_items = run.items_made
    if DATASET_ITEM in event_prices(run.pricing):
        charge_within_cap(run, DATASET_ITEM, fresh)


def check_chargeable(run: Run, name: str) -> None:
    """
    Checks that an Actor may charge for an event.

    Raises:
        ApiError: its runs are not paid by event, or the event is Apify's own or unknown (400).
    """
    prices = event_prices(run.pricing)
    if not prices:
        raise ApiError(
            400,
            "cannot-charge-non-pay-per-event-actor",
            "The Actor cannot charge for events, because it is not a pay-per-event Actor",
        )
    if name.startswith("apify-"):
        raise ApiError(
            400, "cannot-charge-apify-event", f'Only Apify charges for the event "{name}"'
        )
    if name not in prices:
        known = ", ".join(sorted(prices))
        raise invalid_input(f'The pricing has no event "{name}"; its events are {known}')


def check_cap(pricing: dict[str, Any] | None, cap: float | None) -> None:
    """
    Checks the cap of a start against the lowest one that the Actor accepts.

    Raises:
        ApiError: it is lower (400).
    """
    least = (pricing or {}).get("minimalMaxTotalChargeUsd")
    if cap is not None and least is not None and cap < least:
        raise ApiError(
            400,
            "max-total-charge-usd-below-minimum",
            f"Maximum cost per run is less than the allowed minimum of ${least:g}",
        )


def _event_price(event: dict[str, Any]) -> float:
    if event.get("eventPriceUsd") is not None:
        return float(event["eventPriceUsd"])
    return _of_tier(event.get("eventTieredPricingUsd") or {}, "tieredEventPriceUsd")


def _of_tier(tiers: dict[str, Any], name: str) -> float:
    """Returns the price of the account's tier, else that of the first one."""
    tier: dict[str, Any] = tiers.get(_TIER) or next(iter(tiers.values()), {})
    return float(tier.get(name, 0.0))
