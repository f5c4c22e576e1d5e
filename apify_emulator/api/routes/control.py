"""The emulator's own endpoints, below `/__emulator`, for the owner of the account only."""

from __future__ import annotations

from typing import Any

import orjson

from apify_emulator.actors.actor_views import RunCount, actor_view
from apify_emulator.api.context import Context
from apify_emulator.api.reset import reset_everything
from apify_emulator.api.router import CONTROL, Handler, Router
from apify_emulator.client_variables import client_variables
from apify_emulator.errors import SetupError
from apify_emulator.faults import FaultPicker, read_faults
from apify_emulator.http.answers import Answer, data
from apify_emulator.http.calls import Call, checked_number
from apify_emulator.ids import derived_id
from apify_emulator.refusals import invalid_input, page_not_found
from apify_emulator.stand_ins.stand_in_files import (
    StandInRun,
    StoredValue,
    check_name,
    write_stand_in,
)
from apify_emulator.times import iso, now

_LIMITS = {
    "maxRuns": "max_runs",
    "maxMemoryMbytes": "max_memory_mbytes",
    "maxMonthlyUsageUsd": "max_monthly_usage_usd",
    "monthlyUsageUsd": "earlier_usage_usd",
}
_FACTS = frozenset({"durationSecs", "costUsd", "status", "statusMessage", "exitCode", "input"})


def register(router: Router) -> None:
    """Adds these endpoints."""
    for name, handler in (
        ("reset", reset),
        ("faults", set_faults),
        ("limits", set_limits),
        ("clock", advance_clock),
        ("actors", add_actor),
    ):
        router.add("POST", f"{CONTROL}/{name}", _for_owner(handler))
    router.add("GET", f"{CONTROL}/variables", _for_owner(variables))


def _for_owner(handler: Handler) -> Handler:
    async def checked(context: Context, call: Call) -> Answer:
        # An Actor must not change the account that it runs in, also with all permissions.
        if call.run_id is not None:
            raise page_not_found()
        return await handler(context, call)

    return checked


async def variables(context: Context, call: Call) -> Answer:
    """Returns the variables that Apify's tools and SDKs read, without the token."""
    return data(client_variables(call.base_url, context.proxy))


async def reset(context: Context, call: Call) -> Answer:  # noqa: ARG001 - a handler's form
    """Ends and deletes all runs, and sets everything back to the start."""
    await reset_everything(context)
    return data(_state(context))


async def set_faults(context: Context, call: Call) -> Answer:
    """Replaces the faults; an empty object ends them."""
    try:
        faults = read_faults(await call.body() or b"{}")
    except ValueError as problem:
        raise invalid_input(f"The faults are not valid: {problem}") from problem
    context.faults = FaultPicker(faults)
    return data(_state(context))


async def set_limits(context: Context, call: Call) -> Answer:
    """Changes the limits of the account, and the usage of the month so far."""
    body = await call.json_object()
    _refuse_unknown(body, _LIMITS)
    for name, value in body.items():
        number = checked_number(name, value)
        setattr(context.account, _LIMITS[name], number if name.endswith("Usd") else int(number))
    return data(_state(context))


async def advance_clock(context: Context, call: Call) -> Answer:
    """Moves the clock forward: simulated runs and stand-ins continue at once, processes do not."""
    body = await call.json_object()
    _refuse_unknown(body, {"advanceSecs"})
    context.timers.advance(checked_number("advanceSecs", body.get("advanceSecs")))
    return data(_state(context))


async def add_actor(context: Context, call: Call) -> Answer:
    """Adds a stand-in for an Actor until the next reset."""
    body = await call.json_object()
    _refuse_unknown(body, {"name", "schema", "items", "output", "pricingInfos", *_FACTS})
    items = body.get("items") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid_input('"items" must be an array of objects')
    run = StandInRun(
        name=_recording_name(body.get("input")),
        facts={name: body[name] for name in _FACTS & body.keys() if body[name] is not None},
        items=[orjson.dumps(item) for item in items],
        records=_output(body),
    )
    actors_dir = context.options.added_actors_dir
    try:
        folder = write_stand_in(
            actors_dir,
            str(body.get("name") or ""),
            run,
            schema=body.get("schema"),
            definition={"pricingInfos": body.get("pricingInfos") or []},
        )
    except SetupError as problem:
        raise invalid_input(str(problem)) from problem
    context.added_actors.add(folder)
    actor = context.actors.find(check_name(body["name"]).replace("/", "~"))
    infos = context.actors.pricing_infos(actor)
    return data(actor_view(actor, context.actors.created_at, RunCount(), infos), status=201)


def _recording_name(given: Any) -> str:
    """Returns the name of the recording for an input; the same input has the same name."""
    if given is None:
        return "any-input"
    text = orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode()
    return f"input-{derived_id('input', text)}"


def _output(body: dict[str, Any]) -> list[StoredValue]:
    if "output" not in body:
        return []
    content = orjson.dumps(body["output"])
    kind = "application/json; charset=utf-8"
    return [StoredValue(key="OUTPUT", content_type=kind, body=content)]


def _refuse_unknown(body: dict[str, Any], known: Any) -> None:
    unknown = sorted(body.keys() - set(known))
    if unknown:
        raise invalid_input(f"Unknown field {unknown[0]}; known are {', '.join(sorted(known))}")


def _state(context: Context) -> dict[str, Any]:
    account = context.account
    return {
        "now": iso(now()),
        "aheadSecs": round(context.timers.ahead_secs, 3),
        "limits": {name: getattr(account, attribute) for name, attribute in _LIMITS.items()},
        "faultsInjected": context.faults.injected,
        "faultsOfKinds": context.faults.injected_of_kinds,
        "runs": len(context.runs.all),
    }
