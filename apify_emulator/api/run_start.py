"""
How a request becomes a run.

It checks the options, the input and the account first, and only then changes anything.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import orjson

from apify_emulator.actors.actor import Actor
from apify_emulator.actors.actor_registry import unusable
from apify_emulator.actors.input_schema import with_defaults
from apify_emulator.actors.pricing import current_pricing
from apify_emulator.actors.task import Task
from apify_emulator.api.context import Context
from apify_emulator.api.permissions import named_storages
from apify_emulator.api.run_input import RunInput, read_input, value_of
from apify_emulator.api.run_options import read_options
from apify_emulator.errors import SetupError
from apify_emulator.http.calls import Call
from apify_emulator.ids import new_ids
from apify_emulator.lifecycle.capacity import check_capacity
from apify_emulator.runs.charging import check_cap
from apify_emulator.runs.recording import choose, recordings_in
from apify_emulator.runs.run import LIMITED_PERMISSIONS, Run, RunOptions
from apify_emulator.runs.run_registry import attempt_key
from apify_emulator.runs.simulation import Script, script_of_recording
from apify_emulator.times import now
from apify_emulator.webhooks.webhook import read_ad_hoc

_ORIGINS = frozenset({"WEB", "CLI", "CI", "MCP", "TEST", "SCHEDULER", "WEBHOOK"})


async def start_run(
    context: Context, call: Call, actor: Actor, task: Task | None, *, has_body: bool = True
) -> Run:
    """
    Starts the run that a request asks for.

    Args:
        has_body: False for endpoints that take no input.

    Raises:
        ApiError: the options, the input or the account do not allow it; no run was started.
    """
    options = read_options(call, actor, task)
    pricing = current_pricing(context.actors.pricing_infos(actor), now())
    check_cap(pricing, options.max_total_charge_usd)
    hooks = read_ad_hoc(call.text("webhooks")) if "webhooks" in call.query else []
    body = await call.body() if has_body else b""
    given = read_input(actor, task, body, call.content_type)
    if actor.is_stand_in:
        given = replace(given, script=_recorded_script(context, actor, given))
    # The last check: no await may come between it and the start.
    check_capacity(context.account, context.runs, options.memory_mbytes)
    run = _make_run(context, call, actor, task, options=options, given=given)
    run.pricing = pricing
    # Before the run begins, so that its webhooks get the event of its creation.
    for hook in hooks:
        hook = {**hook, "condition": {"actorRunId": run.id}}
        context.webhooks.create(hook, is_ad_hoc=True)
    context.lifecycle.create(run, given.script)
    return run


def _make_run(
    context: Context,
    call: Call,
    actor: Actor,
    task: Task | None,
    *,
    options: RunOptions,
    given: RunInput,
) -> Run:
    is_virtual = actor.simulation is not None
    run_id, store_id, dataset_id, queue_id = new_ids(4)
    run = Run(
        id=run_id,
        actor_id=actor.id,
        task_id=task.id if task is not None else None,
        started_at=context.runs.moment(),
        origin=_origin(call),
        user_agent=call.headers.get("User-Agent"),
        client_ip=call.request.remote,
        options=options,
        build_id=actor.build_id,
        build_number=actor.build_number,
        store_id=store_id,
        dataset_id=dataset_id,
        queue_id=queue_id,
        input_bytes=len(given.body or b""),
        is_virtual=is_virtual,
        permission_level=call.text("forcePermissionLevel") or LIMITED_PERMISSIONS,
        parent_id=call.run_id,
        granted=[] if is_virtual else named_storages(context, value_of(given)),
    )
    if given.script is not None and given.script.recording is not None:
        run.status_message = given.script.status_message
    if given.script is not None and given.script.datasets:
        aliases = tuple(given.script.datasets)
        run.datasets = dict(zip(aliases, new_ids(len(aliases)), strict=True))
    if is_virtual:
        keep_simulated_input(run, given)
    elif given.body is not None:
        _keep_input(context, run, given)
    if is_virtual and given.value.get("fail_attempts"):
        run.attempt = context.runs.next_attempt(attempt_key(run))
    return run


def simulated_input(context: Context, actor: Actor, body: bytes, content_type: str) -> RunInput:
    """
    Returns the checked input of a simulated Actor, with the script that it chooses.

    Raises:
        ApiError: the input breaks a rule (400).
    """
    given = read_input(actor, None, body, content_type)
    if not actor.is_stand_in:
        return given
    return replace(given, script=_recorded_script(context, actor, given))


def keep_simulated_input(run: Run, given: RunInput) -> None:
    """Keeps an input and a recording in the run, because every read of its items needs them."""
    recording = None if given.script is None else given.script.recording
    run.played = None if recording is None else str(recording.folder)
    run.input_text = None
    if given.body is not None:
        run.input_type, run.input_text = given.content_type, given.body.decode()


def _recorded_script(context: Context, actor: Actor, given: RunInput) -> Script:
    """Returns the script of the recording for an input; several of one input take turns."""
    assert actor.folder is not None  # noqa: S101 - stand-ins are read from folders
    complete = partial(with_defaults, actor.input_schema)
    try:
        found, differing = choose(recordings_in(actor.folder), given.value, complete)
    except SetupError as problem:
        raise unusable(problem) from problem
    turn = 0
    if len(found) > 1:
        key = orjson.dumps([actor.id, given.value], option=orjson.OPT_SORT_KEYS).decode()
        turn = (context.runs.next_attempt(key) - 1) % len(found)
    script = script_of_recording(found[turn])
    if not differing or script.status_message is not None:
        return script
    message = (
        f"Played from the recording {found[turn].folder.name}, whose input differs in: "
        f"{', '.join(differing)}"
    )
    return replace(script, status_message=message)


def _keep_input(context: Context, run: Run, given: RunInput) -> None:
    run.input_type = given.content_type
    store = context.stores.open_of_run(run, run.store_id)
    store.put(run.input_key, given.body or b"", given.content_type)


def _origin(call: Call) -> str:
    if call.run_id is not None:
        return "ACTOR"
    asked = call.headers.get("X-Apify-Request-Origin", "").upper()
    return asked if asked in _ORIGINS else "API"
