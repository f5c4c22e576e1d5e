"""What an Actor charges, as the platform shows it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from orchestrator.apify.models.actors import ChargeEvent, PricingInfo

ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """
    The charge for runs, in addition to what they use or instead of it.

    Attributes:
        model: of pricing, as the platform names it.
        usd: of one event, item or month, by its name; the dearest tier.
    """

    model: str
    usd: dict[str, Decimal]


def floor_of(infos: Sequence[PricingInfo], now: datetime) -> Decimal | None:
    """The lowest cap that a run may have now; None if the Actor has none."""
    info = _current(infos, now)
    return None if info is None else info.minimal_max_total_charge_usd


def _current(infos: Sequence[PricingInfo], now: datetime) -> PricingInfo | None:
    begun = [info for info in infos if (info.started_at or ALWAYS) <= now]
    return max(begun, key=lambda info: info.started_at or ALWAYS, default=None)


def price_of(infos: Sequence[PricingInfo], now: datetime) -> Price | None:
    """
    The present price; None if the platform shows none.

    Args:
        infos: past, present and announced ones, in any order.
    """
    info = _current(infos, now)
    if info is None or info.pricing_model is None:
        return None
    return Price(model=info.pricing_model, usd=_events(info) or _units(info))


def _events(info: PricingInfo) -> dict[str, Decimal]:
    events = info.pricing_per_event and info.pricing_per_event.actor_charge_events
    prices = {name: _of_event(event) for name, event in (events or {}).items()}
    return {name: price for name, price in prices.items() if price is not None}


def _of_event(event: ChargeEvent) -> Decimal | None:
    tiers = (event.event_tiered_pricing_usd or {}).values()
    return _dearest(event.event_price_usd, [tier.tiered_event_price_usd for tier in tiers])


def _units(info: PricingInfo) -> dict[str, Decimal]:
    tiers = [tier.tiered_price_per_unit_usd for tier in (info.tiered_pricing or {}).values()]
    price = _dearest(info.price_per_unit_usd, tiers)
    unit = "month" if info.pricing_model == "FLAT_PRICE_PER_MONTH" else info.unit_name or "item"
    return {} if price is None else {unit: price}


def _dearest(one: Decimal | None, tiers: Sequence[Decimal | None]) -> Decimal | None:
    return max((price for price in (one, *tiers) if price is not None), default=None)
