"""Webhooks and their deliveries."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from apify_emulator.api.context import Context
from apify_emulator.api.permissions import caller
from apify_emulator.api.router import Router
from apify_emulator.http.answers import Answer, data, nothing
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, no_permission
from apify_emulator.webhooks.dispatch import dispatch_view
from apify_emulator.webhooks.webhook_registry import find_dispatch, webhook_view


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "webhooks", list_all)
    router.add("POST", "webhooks", create)
    router.add("GET", "webhooks/{webhookId}", get)
    router.add("PUT", "webhooks/{webhookId}", update)
    router.add("DELETE", "webhooks/{webhookId}", delete)
    router.add("GET", "webhooks/{webhookId}/dispatches", list_dispatches_of)
    router.add("POST", "webhooks/{webhookId}/test", test)
    router.add("GET", "webhook-dispatches", list_dispatches)
    router.add("GET", "webhook-dispatches/{dispatchId}", get_dispatch)


async def list_all(context: Context, call: Call) -> Answer:
    """Lists webhooks, ad-hoc ones too."""
    page = call.page()
    found = list(context.webhooks.by_id.values())
    items = [webhook_view(webhook, context.webhooks) for webhook in page.cut(found)]
    return data(page.envelope(len(found), items))


async def create(context: Context, call: Call) -> Answer:
    """Creates a webhook; the same idempotency key returns the first one again."""
    wanted = await call.json_object()
    run = caller(context, call)
    if run is not None and wanted.get("condition") != {"actorRunId": run.id}:
        raise no_permission()
    webhook, _ = context.webhooks.create(_with_ids(context, wanted), is_ad_hoc=False)
    return data(
        webhook_view(webhook, context.webhooks),
        status=201,
        location=f"{call.base_url}/v2/webhooks/{webhook.id}",
    )


def _with_ids(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Returns a body whose condition has ids where it names an Actor or a task."""
    condition = body.get("condition")
    if not isinstance(condition, dict):
        return body
    found = dict(condition)
    for name, find in (("actorId", context.actors.find), ("actorTaskId", context.tasks.find)):
        # A condition may name what does not exist any more.
        with suppress(ApiError):
            if isinstance(condition.get(name), str) and condition[name]:
                found[name] = find(condition[name].replace("/", "~")).id
    return {**body, "condition": found}


async def get(context: Context, call: Call) -> Answer:
    """Returns a webhook."""
    webhook = context.webhooks.find(call.params["webhookId"])
    return data(webhook_view(webhook, context.webhooks))


async def update(context: Context, call: Call) -> Answer:
    """Changes a webhook."""
    body = await call.json_object()
    webhook = context.webhooks.find(call.params["webhookId"])
    changed = context.webhooks.update(webhook, _with_ids(context, body))
    return data(webhook_view(changed, context.webhooks))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a webhook."""
    context.webhooks.delete(context.webhooks.find(call.params["webhookId"]))
    return nothing()


async def test(context: Context, call: Call) -> Answer:
    """Delivers an event of the type TEST, and returns the delivery."""
    webhook = context.webhooks.find(call.params["webhookId"])
    run = context.runs.by_id.get(webhook.condition.get("actorRunId", ""))
    return data(dispatch_view(context.webhooks.test(webhook, run)), status=201)


async def list_dispatches_of(context: Context, call: Call) -> Answer:
    """Lists a webhook's deliveries."""
    webhook = context.webhooks.find(call.params["webhookId"])
    page = call.page()
    found = context.webhooks.dispatches_of(webhook.id)
    items = [dispatch_view(dispatch) for dispatch in page.cut(found)]
    return data(page.envelope(len(found), items))


async def list_dispatches(context: Context, call: Call) -> Answer:
    """Lists all deliveries."""
    page = call.page()
    found = list(context.webhooks.dispatches.values())
    items = [dispatch_view(dispatch) for dispatch in page.cut(found)]
    return data(page.envelope(len(found), items))


async def get_dispatch(context: Context, call: Call) -> Answer:
    """Returns a delivery."""
    dispatch = find_dispatch(context.webhooks, call.params["dispatchId"])
    return data(dispatch_view(dispatch))
