"""What an Actor's runs cost: the pricing of its folder, of its recording, or of the API."""

from __future__ import annotations

from typing import Any

from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.times import iso, now

PAY_PER_EVENT = "PAY_PER_EVENT"
PRICE_PER_ITEM = "PRICE_PER_DATASET_ITEM"
_MODELS = ("FLAT_PRICE_PER_MONTH", "FREE", PAY_PER_EVENT, PRICE_PER_ITEM)
_MARGIN = 0.2


def pricing_of_events(events: object) -> list[dict[str, Any]]:
    """
    Returns the pricing that a `pay_per_event.json` describes: an object of events by name.

    Raises:
        TypeError, ValueError: an event has no price.
    """
    if not isinstance(events, dict) or not events:
        raise ValueError("must be an object with events by name")
    pricing = {"pricingModel": PAY_PER_EVENT, "pricingPerEvent": {"actorChargeEvents": events}}
    return [checked_pricing(pricing, 0.0)]


def checked_pricing(info: object, started_at: float) -> dict[str, Any]:
    """
    Returns a pricing in the form of the API.

    Args:
        started_at: since when it counts, if it does not say so.

    Raises:
        TypeError, ValueError: the model is unknown, a price is missing, or a field is not of its
            type.
    """
    if not isinstance(info, dict) or info.get("pricingModel") not in _MODELS:
        raise ValueError(f'"pricingModel" must be one of {", ".join(_MODELS)}')
    filled = {
        "apifyMarginPercentage": _MARGIN,
        "createdAt": iso(started_at),
        "startedAt": iso(started_at),
        **info,
    }
    if not isinstance(filled["startedAt"], str):
        raise TypeError('"startedAt" must be a date and time')
    least = info.get("minimalMaxTotalChargeUsd")
    _check_price("minimalMaxTotalChargeUsd", 0.0 if least is None else least)
    if info["pricingModel"] == PAY_PER_EVENT:
        filled["pricingPerEvent"] = {"actorChargeEvents": _events(info)}
    elif info["pricingModel"] == PRICE_PER_ITEM:
        filled.setdefault("unitName", "result")
        _check_prices(info, "pricePerUnitUsd", "tieredPricing", "tieredPricePerUnitUsd")
    elif info["pricingModel"] == "FLAT_PRICE_PER_MONTH":
        filled.setdefault("trialMinutes", 0)
        _check_price("pricePerUnitUsd", info.get("pricePerUnitUsd"))
    return filled


def appended(known: list[dict[str, Any]], wanted: object) -> list[dict[str, Any]]:
    """
    Returns the pricings after a change by the API, which can only add one.

    Raises:
        ApiError: a pricing is not valid, or the past would change (400).
    """
    if not isinstance(wanted, list):
        raise invalid_input('"pricingInfos" must be an array')
    starts = [info.get("startedAt") for info in wanted if isinstance(info, dict)]
    kept = [info["startedAt"] for info in known]
    if starts[: len(kept)] != kept:
        raise ApiError(
            400,
            "cannot-add-pricing-info-that-alters-past",
            "The pricings that are there cannot change; add a new one after them",
        )
    if len(wanted) > len(known) + 1:
        raise ApiError(
            400, "cannot-add-multiple-pricing-infos", "Only one pricing can be added at once"
        )
    try:
        return [*known, *(checked_pricing(info, now()) for info in wanted[len(known) :])]
    except (TypeError, ValueError) as problem:
        raise invalid_input(str(problem)) from problem


def current_pricing(infos: list[dict[str, Any]], moment: float) -> dict[str, Any] | None:
    """Returns the pricing that counts at a moment; None if there is none yet."""
    begun = [info for info in infos if info["startedAt"] <= iso(moment)]
    return begun[-1] if begun else None


def _events(info: dict[str, Any]) -> dict[str, Any]:
    per_event = _object("pricingPerEvent", info.get("pricingPerEvent") or {})
    events = _object("actorChargeEvents", per_event.get("actorChargeEvents") or {})
    filled = {}
    for name, value in events.items():
        event = _object(name, value)
        prices = ("eventPriceUsd", "eventTieredPricingUsd", "tieredEventPriceUsd")
        _check_prices(event, *prices, prefix=f"{name}.")
        title = event.get("eventTitle") or name
        filled[name] = {"eventDescription": title, **event, "eventTitle": title}
    return filled


def _check_prices(
    priced: dict[str, Any], name: str, tiers_name: str, tier_name: str, *, prefix: str = ""
) -> None:
    """Checks that there is a price, for all tiers or for each."""
    tiers = priced.get(tiers_name)
    if tiers is None or priced.get(name) is not None:
        _check_price(f"{prefix}{name}", priced.get(name))
    for tier, value in _object(f"{prefix}{tiers_name}", tiers or {}).items():
        price = _object(f"{prefix}{tier}", value).get(tier_name, 0.0)
        _check_price(f"{prefix}{tier}.{tier_name}", price)


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f'"{name}" must be an object')
    return value


def _check_price(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f'"{name}" must be a price in USD, found {value!r}')
