"""Actors and their builds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from apify_emulator.actors.actor import Actor
from apify_emulator.actors.actor_views import (
    RunCount,
    actor_summary,
    actor_view,
    build_summary,
    build_view,
    store_view,
)
from apify_emulator.actors.pricing import current_pricing
from apify_emulator.api.context import Context
from apify_emulator.api.router import Router
from apify_emulator.api.routes.run_answers import build_log
from apify_emulator.http.answers import Answer, data
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, invalid_parameter, not_supported
from apify_emulator.times import now
from apify_emulator.webhooks.webhook_registry import webhook_view, webhooks_of

_ORDERS = ("createdAt", "stats.lastRunStartedAt")


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "actors", list_all)
    router.add("GET", "actors/{actorId}", get)
    router.add("GET", "store", list_store, is_open=True)
    router.add("PUT", "actors/{actorId}", update)
    router.add("GET", "actors/{actorId}/webhooks", list_webhooks)
    router.add("GET", "actors/{actorId}/builds/default", get_default_build)
    router.add("GET", "actors/{actorId}/builds", list_builds_of)
    router.add("GET", "actor-builds", list_builds)
    router.add("GET", "actor-builds/{buildId}", get_build)
    router.add("GET", "actor-builds/{buildId}/log", get_build_log)


async def list_all(context: Context, call: Call) -> Answer:
    """Lists the Actors; all belong to the account, so `my` changes nothing."""
    page = call.page()
    order = call.text("sortBy") or _ORDERS[0]
    if order not in _ORDERS:
        raise invalid_parameter("sortBy", f'must be one of {", ".join(_ORDERS)}, found "{order}"')
    actors = _all(context)
    if order != _ORDERS[0]:
        # Those without a run come first, as without a time.
        actors.sort(key=lambda actor: _run_count(context, actor).last_started_at or 0.0)
    items = [
        actor_summary(actor, context.actors.created_at, _run_count(context, actor))
        for actor in page.cut(actors)
    ]
    return data(page.envelope(len(actors), items))


def _all(context: Context) -> list[Actor]:
    """Returns all Actors, also those that were added just now."""
    # One that cannot be read stays as it was, and its starts are refused with the reason.
    with suppress(ApiError):
        context.actors.refresh()
    return list(context.actors.by_id.values())


async def list_store(context: Context, call: Call) -> Answer:
    """Lists the stand-ins, which are what is there of Apify Store."""
    page = call.page()
    found = []
    for actor in _all(context):
        if actor.is_stand_in:
            pricing = current_pricing(context.actors.pricing_infos(actor), now())
            found.append(store_view(actor, _run_count(context, actor), pricing))
    found = [entry for entry in found if _is_wanted(call, entry)]
    return data(page.envelope(len(found), page.cut(found)))


def _is_wanted(call: Call, entry: dict[str, Any]) -> bool:
    words = call.text("search").lower().split()
    text = " ".join(str(entry[name]) for name in ("title", "name", "username", "description"))
    model = call.text("pricingModel")
    return (
        all(word in text.lower() for word in words)
        and call.text("username") in ("", entry["username"])
        and model in ("", entry["currentPricingInfo"]["pricingModel"])
        and not call.text("category")
    )


async def get(context: Context, call: Call) -> Answer:
    """Returns an Actor."""
    return data(_view(context, context.actors.find(call.params["actorId"])))


async def update(context: Context, call: Call) -> Answer:
    """Changes an Actor's pricing; everything else comes from its folder."""
    body = await call.json_object()
    actor = context.actors.find(call.params["actorId"])
    if body.keys() - {"pricingInfos"} or not body:
        raise not_supported("an Actor is what its folder says; only pricingInfos can be changed")
    context.actors.change_pricing(actor, body["pricingInfos"])
    return data(_view(context, actor))


def _view(context: Context, actor: Actor) -> dict[str, Any]:
    infos = context.actors.pricing_infos(actor)
    return actor_view(actor, context.actors.created_at, _run_count(context, actor), infos)


def _run_count(context: Context, actor: Actor) -> RunCount:
    runs = context.runs.of_actor[actor.id]
    return RunCount(len(runs), runs[-1].started_at) if runs else RunCount()


async def list_webhooks(context: Context, call: Call) -> Answer:
    """Lists an Actor's persistent webhooks."""
    actor = context.actors.find(call.params["actorId"])
    page = call.page()
    found = webhooks_of(context.webhooks.by_id.values(), "actorId", actor.id)
    items = [webhook_view(webhook, context.webhooks) for webhook in page.cut(found)]
    return data(page.envelope(len(found), items))


async def get_default_build(context: Context, call: Call) -> Answer:
    """Returns the build that runs use."""
    actor = context.actors.find(call.params["actorId"])
    return data(build_view(actor, context.actors.created_at))


async def get_build(context: Context, call: Call) -> Answer:
    """Returns a build; all builds have succeeded."""
    actor = context.actors.build(call.params["buildId"])
    return data(build_view(actor, context.actors.created_at))


async def list_builds_of(context: Context, call: Call) -> Answer:
    """Lists an Actor's builds, of which there is one."""
    return _builds(context, call, [context.actors.find(call.params["actorId"])])


async def list_builds(context: Context, call: Call) -> Answer:
    """Lists the builds of all Actors."""
    return _builds(context, call, list(context.actors.by_id.values()))


async def get_build_log(context: Context, call: Call) -> Answer:
    """Returns the log of a build."""
    return build_log(context, call, context.actors.build(call.params["buildId"]))


def _builds(context: Context, call: Call, actors: list[Actor]) -> Answer:
    page = call.page()
    items = [build_summary(actor, context.actors.created_at) for actor in page.cut(actors)]
    return data(page.envelope(len(actors), items))
