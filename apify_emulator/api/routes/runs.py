"""Runs: reading, listing, changing and ending them."""

from __future__ import annotations

import math

from apify_emulator.actors.actor_registry import check_build
from apify_emulator.api.context import Context
from apify_emulator.api.public_access import checked_access
from apify_emulator.api.reset import delete_run
from apify_emulator.api.router import Handler, Router
from apify_emulator.api.routes import datasets, key_value_stores, request_queues
from apify_emulator.api.routes.run_answers import build_log, log_answer, run_data, wait_for_end
from apify_emulator.api.run_options import changed_options
from apify_emulator.api.run_start import keep_simulated_input, simulated_input
from apify_emulator.http.answers import Answer, data, nothing, plain
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, invalid_input, invalid_parameter, record_not_found
from apify_emulator.runs.charging import check_chargeable
from apify_emulator.runs.run import Run, Status
from apify_emulator.runs.run_registry import started_between
from apify_emulator.runs.run_views import run_summary
from apify_emulator.times import iso, now

# Apify forgets an idempotency key after this time.
_KEY_SECS = 180.0
_STATUSES = frozenset(Status)


def register(router: Router) -> None:
    """Adds these endpoints, by run id, below an Actor or a task, and for the last run."""
    router.add("GET", "actor-runs", list_all)
    router.add("GET", "actors/{actorId}/runs", list_of_actor)
    router.add("GET", "actor-tasks/{actorTaskId}/runs", list_of_task)
    router.add("GET", "actor-runs/{runId}", get, is_open=True)
    router.add("PUT", "actor-runs/{runId}", update)
    router.add("DELETE", "actor-runs/{runId}", delete)
    router.add("POST", "actor-runs/{runId}/reboot", reboot)
    router.add("POST", "actor-runs/{runId}/charge", charge)
    router.add("GET", "logs/{runId}", get_log, is_open=True)
    roots = ("actor-runs/{runId}", "actors/{actorId}/runs/{runId}")
    last = ("actors/{actorId}/runs/last", "actor-tasks/{actorTaskId}/runs/last")
    for root in (*roots, *last):
        _register_below(router, root)


def _register_below(router: Router, root: str) -> None:
    if root != "actor-runs/{runId}":
        router.add("GET", root, get)
    router.add("POST", f"{root}/abort", abort)
    router.add("POST", f"{root}/resurrect", resurrect)
    router.add("POST", f"{root}/metamorph", metamorph)
    router.add("GET", f"{root}/log", get_log)
    router.add("GET", f"{root}/dataset", _of_run(datasets.get))
    router.add("GET", f"{root}/dataset/items", _of_run(datasets.get_items))
    router.add("POST", f"{root}/dataset/items", _of_run(datasets.push))
    router.add("GET", f"{root}/key-value-store", _of_run(key_value_stores.get))
    router.add("GET", f"{root}/key-value-store/keys", _of_run(key_value_stores.list_keys))
    record = f"{root}/key-value-store/records/{{recordKey}}"
    router.add("GET", record, _of_run(key_value_stores.get_record))
    router.add("PUT", record, _of_run(key_value_stores.put_record))
    router.add("POST", record, _of_run(key_value_stores.put_record))
    router.add("DELETE", record, _of_run(key_value_stores.delete_record))
    request_queues.register_requests(router, f"{root}/request-queue", _of_run)


def _of_run(handler: Handler) -> Handler:
    """Returns a storage's endpoint for the storage of a run."""

    async def shortcut(context: Context, call: Call) -> Answer:
        run = find_run(context, call)
        call.params["datasetId"] = run.dataset_id
        call.params["storeId"] = run.store_id
        call.params["queueId"] = run.queue_id
        return await handler(context, call)

    return shortcut


def find_run(context: Context, call: Call) -> Run:
    """Returns the run that the path names: by id, or the last one of an Actor or a task."""
    run_id = call.params.get("runId")
    if run_id is not None:
        run = context.runs.get(run_id)
        if "actorId" in call.params:
            actor = context.actors.find(call.params["actorId"])
            if actor.id != run.actor_id:
                raise record_not_found("Actor run")
        return run
    statuses = _statuses(call)
    origin = call.text("origin")
    for run in reversed(_runs_of(context, call)):
        if statuses and run.status not in statuses:
            continue
        if not origin or run.origin == origin:
            return run
    raise record_not_found("Actor run")


def _runs_of(context: Context, call: Call) -> list[Run]:
    if "actorId" in call.params:
        return context.runs.of_actor[context.actors.find(call.params["actorId"]).id]
    return context.runs.of_task[context.tasks.find(call.params["actorTaskId"]).id]


async def list_all(context: Context, call: Call) -> Answer:
    """Lists the account's runs."""
    return _listed(context, call, context.runs.all, by_time=True)


async def list_of_actor(context: Context, call: Call) -> Answer:
    """Lists an Actor's runs."""
    return _listed(context, call, _runs_of(context, call), by_time=True)


async def list_of_task(context: Context, call: Call) -> Answer:
    """Lists a task's runs; there is no filter by time."""
    return _listed(context, call, _runs_of(context, call), by_time=False)


def _listed(context: Context, call: Call, runs: list[Run], *, by_time: bool) -> Answer:
    page = call.page()
    after = before = None
    if by_time:
        after, before = call.moment("startedAfter"), call.moment("startedBefore")
    moment = now()
    lag = context.faults.faults.list_lag_secs
    if lag:
        before = min(before if before is not None else moment, moment - lag)
    found = started_between(runs, after, before)
    statuses = _statuses(call)
    if statuses:
        found = [run for run in found if run.status in statuses]
    with_agent = context.options.list_user_agent
    items = [run_summary(run, moment, with_agent=with_agent) for run in page.cut(found)]
    return data(page.envelope(len(found), items))


def _statuses(call: Call) -> frozenset[str]:
    statuses = frozenset(call.names("status"))
    unknown = statuses - _STATUSES
    if unknown:
        raise invalid_parameter("status", f"must be of {', '.join(Status)}, got {min(unknown)}")
    return statuses


async def get(context: Context, call: Call) -> Answer:
    """Returns a run, after waiting for its end as long as `waitForFinish` says."""
    run = find_run(context, call)
    if "waitForFinish" in call.query:
        await wait_for_end(run, call.wait_secs())
    return data(run_data(context, call, run))


async def update(context: Context, call: Call) -> Answer:
    """Changes a run's status message or access."""
    body = await call.json_object()
    # After the await, so that no run is saved that was deleted meanwhile.
    run = find_run(context, call)
    if "statusMessage" in body:
        message = body["statusMessage"]
        if message is not None and not isinstance(message, str):
            raise invalid_input('"statusMessage" must be a string')
        run.status_message = message
        run.is_message_terminal = bool(body.get("isStatusMessageTerminal"))
    if body.get("generalAccess") is not None:
        run.general_access = checked_access(body["generalAccess"])
    context.lifecycle.save(run)
    return data(run_data(context, call, run))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a run that has ended, with its storages."""
    run = find_run(context, call)
    if not run.is_terminal:
        raise ApiError(
            400, "cannot-remove-running-run", "You can only delete a run that has finished"
        )
    delete_run(context, run)
    return nothing()


async def abort(context: Context, call: Call) -> Answer:
    """Aborts a run; one that has ended stays as it is."""
    run = find_run(context, call)
    context.lifecycle.abort(run, gracefully=call.flag("gracefully"))
    return data(run_data(context, call, run))


async def resurrect(context: Context, call: Call) -> Answer:
    """Resurrects a run that has ended."""
    run = find_run(context, call)
    build_name = run.options.build
    build = None
    if call.text("build"):
        actor = context.actors.find(run.actor_id)
        build_name = check_build(actor, call.text("build"))
        build = (actor.build_id, actor.build_number)
    options = changed_options(call, run.options, build_name)
    context.lifecycle.resurrect(run, options, build=build)
    return data(run_data(context, call, run))


async def reboot(context: Context, call: Call) -> Answer:
    """Restarts a run's process."""
    run = find_run(context, call)
    context.lifecycle.reboot(run)
    return data(run_data(context, call, run))


async def metamorph(context: Context, call: Call) -> Answer:
    """Turns a run into a run of another Actor."""
    body = await call.body()
    run = find_run(context, call)
    target = context.actors.find_to_run(call.text("targetActorId"))
    check_build(target, call.text("build"))
    if target.simulation is not None:
        given = simulated_input(context, target, body, call.content_type)
        context.lifecycle.metamorph(run, target, iso(now()), script=given.script)
        keep_simulated_input(run, given)
        context.lifecycle.save(run)
        return data(run_data(context, call, run))
    context.lifecycle.metamorph(run, target, iso(now()))
    if body:
        store = context.stores.get(run.store_id)
        store.put(run.input_key, body, call.content_type or "application/json; charset=utf-8")
    return data(run_data(context, call, run))


async def charge(context: Context, call: Call) -> Answer:
    """Counts events that the Actor charges for; a repeated idempotency key counts once."""
    body = await call.json_object()
    run = find_run(context, call)
    name, count = body.get("eventName"), body.get("count", 1)
    if not isinstance(name, str) or not name:
        raise invalid_input('"eventName" must be a string')
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise invalid_input('"count" must be a whole number, 0 or more')
    check_chargeable(run, name)
    key, moment = call.headers.get("idempotency-key"), now()
    known = run.charge_keys or {}
    if key is None or moment - known.get(key, -math.inf) > _KEY_SECS:
        if key is not None:
            run.charge_keys = {**known, key: moment}
        context.lifecycle.charge(run, name, count)
    return plain({}, status=201)


async def get_log(context: Context, call: Call) -> Answer:
    """Returns the log of a run or of a build."""
    actor = context.actors.of_build(call.params.get("runId", ""))
    if actor is not None:
        return build_log(context, call, actor)
    return log_answer(context, call, find_run(context, call))
