from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.apify.models.actors import PricingInfo
from orchestrator.app.account.pricing import Price, price_of

NOW = datetime(2026, 11, 25, tzinfo=UTC)
EVENTS = {
    "actor-start": {"eventTitle": "start", "eventPriceUsd": 0.05},
    "result": {
        "eventTieredPricingUsd": {
            "FREE": {"tieredEventPriceUsd": 0.004},
            "GOLD": {"tieredEventPriceUsd": 0.002},
        }
    },
}


@pytest.mark.parametrize(
    ("answer", "prices"),
    [
        (
            {
                "pricingModel": "PAY_PER_EVENT",
                "pricingPerEvent": {"actorChargeEvents": EVENTS},
            },
            {"actor-start": Decimal("0.05"), "result": Decimal("0.004")},
        ),
        (
            {"pricingModel": "PRICE_PER_DATASET_ITEM", "unitName": "page", "pricePerUnitUsd": 0.01},
            {"page": Decimal("0.01")},
        ),
        (
            {
                "pricingModel": "PRICE_PER_DATASET_ITEM",
                "tieredPricing": {"FREE": {"tieredPricePerUnitUsd": 0.03}},
            },
            {"item": Decimal("0.03")},
        ),
        (
            {"pricingModel": "FLAT_PRICE_PER_MONTH", "pricePerUnitUsd": 30},
            {"month": Decimal(30)},
        ),
        ({"pricingModel": "FREE"}, {}),
    ],
)
def test_price_is_read_for_each_pricing_model(
    answer: dict[str, Any], prices: dict[str, Decimal]
) -> None:
    """Each pricing model has its own names; the dearest tier counts, as the tier is unknown."""
    info = PricingInfo.model_validate(answer)
    assert price_of([info], NOW) == Price(model=answer["pricingModel"], usd=prices)


def test_current_price_is_used() -> None:
    """Neither an earlier price nor an announced one counts."""
    infos = [
        PricingInfo.model_validate(
            {"pricingModel": "FLAT_PRICE_PER_MONTH", "pricePerUnitUsd": price, "startedAt": since}
        )
        for price, since in ((30, "2027-01-01T00:00:00Z"), (20, "2026-01-01T00:00:00Z"), (10, None))
    ]
    assert price_of(infos, NOW) == Price(model="FLAT_PRICE_PER_MONTH", usd={"month": Decimal(20)})
    assert price_of(infos[:1], NOW) is None
    assert price_of([], NOW) is None
