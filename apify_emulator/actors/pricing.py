"""What an Actor's runs cost: the pricing of its folder, of its recording, or of the API."""

from __future__ import annotations

from typing import Any

from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.times import iso, now

PAY_PER_EVENT = "PAY_PER_EVENT"
PRICE_PER_ITEM = "PRICE_PER_DATASET_ITEM"
_MODELS = frozenset({PAY_PER_EVENT, PRICE_PER_ITEM, "FLAT_PRICE_PER_MONTH", "FREE"})
_MARGIN = 0.2


def pricing_of_events(events: object) -> list[dict[str, Any]]:
    """
    Returns the pricing that a `pay_per_event.json` describes: an object of events by name.

    Raises:
        ValueError: an event has no price.
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
        ValueError: the model is unknown, or a price is missing.
    """
    if not isinstance(info, dict) or info.get("pricingModel") not in _MODELS:
        raise ValueError(f'"pricingModel" must be one of {", ".join(sorted(_MODELS))}')
    filled = {
        "apifyMarginPercentage": _MARGIN,
        "createdAt": iso(started_at),
        "startedAt": iso(started_at),
        **info,
    }
    if info["pricingModel"] == PAY_PER_EVENT:
        filled["pricingPerEvent"] = {"actorChargeEvents": _events(info)}
    elif info["pricingModel"] == PRICE_PER_ITEM:
        filled.setdefault("unitName", "result")
        if "tieredPricing" not in info:
            _check_price("pricePerUnitUsd", info.get("pricePerUnitUsd"))
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
    except ValueError as problem:
        raise invalid_input(str(problem)) from problem


def current_pricing(infos: list[dict[str, Any]], moment: float) -> dict[str, Any] | None:
    """Returns the pricing that counts at a moment; None if there is none yet."""
    begun = [info for info in infos if info["startedAt"] <= iso(moment)]
    return begun[-1] if begun else None


def _events(info: dict[str, Any]) -> dict[str, Any]:
    events = (info.get("pricingPerEvent") or {}).get("actorChargeEvents") or {}
    if not isinstance(events, dict):
        raise TypeError('"actorChargeEvents" must be an object')
    filled = {}
    for name, event in events.items():
        if not isinstance(event, dict):
            raise TypeError(f'the event "{name}" must be an object')
        if "eventTieredPricingUsd" not in event:
            _check_price(f"{name}.eventPriceUsd", event.get("eventPriceUsd"))
        title = event.get("eventTitle") or name
        filled[name] = {"eventDescription": title, **event, "eventTitle": title}
    return filled


def _check_price(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f'"{name}" must be a price in USD, found {value!r}')
