"""What runs cost, which limits their costs have, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from apify_emulator import Faults
from tests.emulator.caller import Caller, calling
from tests.emulator.sample_actors import write_actor

EVENTS = {
    "page": {"eventTitle": "Page", "eventDescription": "A page", "eventPriceUsd": 0.1},
    "apify-actor-start": {"eventTitle": "Start", "eventPriceUsd": 0.01},
    "apify-default-dataset-item": {"eventTitle": "Item", "eventPriceUsd": 0.002},
}
CHARGE = """
def charge(name, count, key=None):
    request = urllib.request.Request(
        os.environ["APIFY_API_BASE_URL"] + "/v2/actor-runs/" + RUN + "/charge", method="POST",
        data=json.dumps({"eventName": name, "count": count}).encode(),
        headers={"Authorization": "Bearer " + os.environ["APIFY_TOKEN"],
                 "Content-Type": "application/json", **({"idempotency-key": key} if key else {})})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refused:
        return json.loads(refused.read())["error"]["type"]
"""


def _actors(folder: Path, code: str = "", events: Any = EVENTS, **definition: Any) -> Path:
    """Writes an Actor that is paid by event, as Apify's templates write it."""
    write_actor(folder, "shop", CHARGE + code, **definition)
    if events is not None:
        (folder / "shop" / ".actor" / "pay_per_event.json").write_bytes(orjson.dumps(events))
    return folder


async def _run(call: Caller, given: Any = None, **query: Any) -> dict[str, Any]:
    reply = await call("POST", "actors/local~shop/runs", json=given or {}, **query)
    assert reply.status == 201, reply.body
    return await call.wait(reply.data)


async def test_run_that_is_paid_by_event_costs_its_events(tmp_path: Path) -> None:
    """Events of the Actor and of Apify have their prices; a repeated key counts once."""
    code = """
charge("page", 3, "k1")
charge("page", 3, "k1")
push([{"a": 1}, {"a": 2}])
push({"info": json.loads(os.environ["APIFY_ACTOR_PRICING_INFO"])["pricingModel"]})
"""
    async with calling(tmp_path / "d", actors_dirs=(_actors(tmp_path / "a", code),)) as call:
        run = await _run(call, memory=2048)
        assert run["chargedEventCounts"] == {
            "apify-actor-start": 2,
            "page": 3,
            "apify-default-dataset-item": 3,
        }
        assert run["usageTotalUsd"] == pytest.approx(0.326)
        assert run["pricingInfo"]["pricingModel"] == "PAY_PER_EVENT"
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert items.lines[2] == {"info": "PAY_PER_EVENT"}


async def test_charged_events_and_costs_settle_late_when_asked(tmp_path: Path) -> None:
    """With a lag an ended run shows neither its cost nor its charged events at first."""
    actors = _actors(tmp_path / "a", simulated=True)
    lag = Faults(usage_lag_secs=60)
    async with calling(tmp_path / "d", actors_dirs=(actors,), faults=lag) as call:
        run = await _run(call, {"items": 2})
        assert ("usageTotalUsd" in run, run["chargedEventCounts"]) == (False, {})
        call.emulator.advance(61)
        run = (await call("GET", f"actor-runs/{run['id']}")).data
        assert run["usageTotalUsd"] == pytest.approx(0.014)
        assert run["chargedEventCounts"]["apify-default-dataset-item"] == 2


async def test_refused_charges_have_the_types_of_the_api(tmp_path: Path) -> None:
    """An Actor cannot charge for Apify's events, for unknown ones, or without a pricing."""
    code = 'push([{"r": charge(name, 1)} for name in ("apify-actor-start", "nothing", "page")])'
    async with calling(tmp_path / "d", actors_dirs=(_actors(tmp_path / "a", code),)) as call:
        run = await _run(call)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        types = [item["r"] for item in items.lines]
        assert types == ["cannot-charge-apify-event", "invalid-input", 201]
        free = await call.finish()
        body = {"eventName": "page", "count": 1}
        reply = await call("POST", f"actor-runs/{free['id']}/charge", json=body)
        assert reply.error == (400, "cannot-charge-non-pay-per-event-actor")


async def test_run_never_costs_more_than_its_cap(tmp_path: Path) -> None:
    """Events beyond `maxTotalChargeUsd` are not charged, and the run is aborted."""
    code = 'charge("page", 3)\ncharge("page", 5)\ntime.sleep(60)'
    async with calling(tmp_path / "d", actors_dirs=(_actors(tmp_path / "a", code),)) as call:
        run = await _run(call, maxTotalChargeUsd=0.52)
        assert (run["status"], run["chargedEventCounts"]["page"]) == ("ABORTED", 5)
        assert run["usageTotalUsd"] == pytest.approx(0.51)
        assert "maximum cost" in run["statusMessage"]


async def test_cap_below_the_floor_of_the_actor_is_refused(tmp_path: Path) -> None:
    """The Actor's lowest cap decides, with the words of the platform."""
    floor = {
        "pricingModel": "PAY_PER_EVENT",
        "pricingPerEvent": {"actorChargeEvents": EVENTS},
        "minimalMaxTotalChargeUsd": 0.5,
    }
    actors = _actors(tmp_path / "a", events=None, simulated=True, pricingInfos=[floor])
    async with calling(tmp_path / "d", actors_dirs=(actors,)) as call:
        reply = await call("POST", "actors/local~shop/runs", json={}, maxTotalChargeUsd=0.02)
        assert reply.error == (400, "max-total-charge-usd-below-minimum")
        assert "less than the allowed minimum" in reply.json()["error"]["message"]
        assert (await _run(call, maxTotalChargeUsd=0.5))["status"] == "SUCCEEDED"


async def test_run_that_is_paid_by_result_keeps_to_max_items(tmp_path: Path) -> None:
    """A simulated Actor stops at `maxItems`; a real one costs no more than them."""
    price = {"pricingModel": "PRICE_PER_DATASET_ITEM", "pricePerUnitUsd": 0.05}
    simulated = _actors(tmp_path / "a", events=None, simulated=True, pricingInfos=[price])
    async with calling(tmp_path / "d1", actors_dirs=(simulated,)) as call:
        run = await _run(call, {"items": 50}, maxItems=4)
        assert run["usageTotalUsd"] == pytest.approx(0.2)
        items = await call("GET", f"datasets/{run['defaultDatasetId']}/items", format="jsonl")
        assert len(items.lines) == 4
        run = await _run(call, {"items": 50}, maxTotalChargeUsd=0.3)
        assert run["usageTotalUsd"] == pytest.approx(0.3)
    code = "push([{'a': 1}] * 9)"
    real = _actors(tmp_path / "b", code, events=None, pricingInfos=[price])
    async with calling(tmp_path / "d2", actors_dirs=(real,)) as call:
        assert (await _run(call, maxItems=4))["usageTotalUsd"] == pytest.approx(0.2)


async def test_pricing_is_changed_by_the_api_for_later_runs_only(tmp_path: Path) -> None:
    """`pricingInfos` grow by PUT, survive a restart, and cannot change the past."""
    actors = _actors(tmp_path / "a", events=None, simulated=True)
    price = {"pricingModel": "PRICE_PER_DATASET_ITEM", "pricePerUnitUsd": 0.05}
    async with calling(tmp_path / "d", actors_dirs=(actors,)) as call:
        assert (await _run(call))["usageTotalUsd"] < 0.01
        actor = (await call("PUT", "actors/local~shop", json={"pricingInfos": [price]})).data
        infos = actor["pricingInfos"]
        assert infos[0]["unitName"] == "result"
        wrong = await call("PUT", "actors/local~shop", json={"pricingInfos": []})
        assert wrong.error == (400, "cannot-add-pricing-info-that-alters-past")
        invalid = [*infos, {"pricingModel": "BARTER"}]
        wrong = await call("PUT", "actors/local~shop", json={"pricingInfos": invalid})
        assert wrong.error == (400, "invalid-input")
    async with calling(tmp_path / "d", actors_dirs=(actors,)) as call:
        assert (await _run(call, {"items": 2}))["usageTotalUsd"] == pytest.approx(0.1)


async def test_pay_per_event_file_without_a_price_is_refused_at_the_start(tmp_path: Path) -> None:
    """The message names the file and the event."""
    actors = _actors(tmp_path / "a", events={"page": {"eventTitle": "Page"}})
    with pytest.raises(
        Exception, match=r'pay_per_event.json: "page.eventPriceUsd" must be a price'
    ):
        async with calling(tmp_path / "d", actors_dirs=(actors,)):
            pass


async def test_what_an_ended_run_costs_more_counts_for_the_month(tmp_path: Path) -> None:
    """Items and events that come after the end are in the cost of the run and in the usage."""
    async with calling(tmp_path / "d", actors_dirs=(_actors(tmp_path / "a"),)) as call:
        run = await _run(call)
        await call("POST", f"datasets/{run['defaultDatasetId']}/items", json=[{"a": 1}] * 3)
        await call("POST", f"actor-runs/{run['id']}/charge", json={"eventName": "page", "count": 2})
        cost = (await call("GET", f"actor-runs/{run['id']}")).data["usageTotalUsd"]
        assert cost == pytest.approx(0.01 + 3 * 0.002 + 2 * 0.1)
        usage = (await call("GET", "users/me/limits")).data["current"]["monthlyUsageUsd"]
        assert usage == pytest.approx(cost)
