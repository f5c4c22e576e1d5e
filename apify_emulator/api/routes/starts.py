"""Starting runs: with and without waiting, of Actors and of tasks."""

from __future__ import annotations

import anyio

from apify_emulator.actors.actor import Actor
from apify_emulator.actors.task import Task
from apify_emulator.api.context import Context
from apify_emulator.api.item_page import items_answer
from apify_emulator.api.router import Router
from apify_emulator.api.routes.run_answers import run_data, wait_for_end
from apify_emulator.api.run_input import check_only
from apify_emulator.api.run_start import start_run
from apify_emulator.http.answers import Answer, data, nothing, plain
from apify_emulator.http.calls import Call
from apify_emulator.refusals import actor_not_found, run_failed, run_outlasted
from apify_emulator.runs.run import Run, Status


def register(router: Router) -> None:
    """Adds these endpoints."""
    for kind in ("actors/{actorId}", "actor-tasks/{actorTaskId}"):
        router.add("POST", f"{kind}/runs", start)
        for method in ("POST", "GET"):
            router.add(method, f"{kind}/run-sync", start_and_get_record)
            router.add(method, f"{kind}/run-sync-get-dataset-items", start_and_get_items)
    router.add("POST", "actors/{actorId}/validate-input", validate_input)


async def start(context: Context, call: Call) -> Answer:
    """Starts a run and waits for its end as long as `waitForFinish` says."""
    wait_secs = call.wait_secs()
    actor, task = _target(context, call)
    run = await start_run(context, call, actor, task)
    await wait_for_end(run, wait_secs)
    place = f"actors/{actor.id}" if task is None else f"actor-tasks/{task.id}"
    return data(
        run_data(context, call, run),
        status=201,
        location=f"{call.base_url}/v2/{place}/runs/{run.id}",
    )


async def start_and_get_record(context: Context, call: Call) -> Answer:
    """Starts a run, waits for its end and answers with its output record."""
    run = await _run_to_success(context, call)
    record = context.stores.get(run.store_id).get(call.text("outputRecordKey", "OUTPUT"))
    if record is None:
        return nothing(201)
    return Answer(status=201, body=record.read(), content_type=record.content_type)


async def start_and_get_items(context: Context, call: Call) -> Answer:
    """Starts a run, waits for its end and answers with its items."""
    run = await _run_to_success(context, call)
    dataset = context.datasets.get(run.dataset_id)
    return items_answer(context, call, dataset, status=201)


async def validate_input(context: Context, call: Call) -> Answer:
    """Checks an input without starting a run."""
    actor = context.actors.find(call.params["actorId"])
    check_only(actor, await call.body())
    return plain({"valid": True})


async def _run_to_success(context: Context, call: Call) -> Run:
    actor, task = _target(context, call)
    run = await start_run(context, call, actor, task, has_body=call.method != "GET")
    limit = context.options.sync_wait_secs
    with anyio.move_on_after(limit):
        while not run.is_terminal:
            await run.ended().wait()
    if not run.is_terminal:
        raise run_outlasted(limit)
    if run.status != Status.SUCCEEDED:
        raise run_failed(run.id, run.status)
    return run


def _target(context: Context, call: Call) -> tuple[Actor, Task | None]:
    if "actorId" in call.params:
        return context.actors.find_to_run(call.params["actorId"]), None
    task = context.tasks.find(call.params["actorTaskId"])
    actor = context.actors.by_id.get(task.actor_id)
    if actor is None:
        raise actor_not_found()
    return actor, task
