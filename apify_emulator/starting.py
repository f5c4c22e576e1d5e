"""
How a request becomes a run: options and input are checked, then the run is made.

Nothing is changed before everything is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from apify_emulator.actors import MEMORY_STEPS, Actor, check_build
from apify_emulator.context import Context
from apify_emulator.ids import new_ids
from apify_emulator.inputs import check_input, with_defaults
from apify_emulator.messages import Call
from apify_emulator.refusals import ApiError, invalid_input, invalid_parameter
from apify_emulator.rights import named_storages
from apify_emulator.runs import FULL_PERMISSIONS, LIMITED_PERMISSIONS, Run, RunOptions
from apify_emulator.simulated import Script, read_script
from apify_emulator.tasks import Task
from apify_emulator.webhooks import read_ad_hoc

_JSON = "application/json; charset=utf-8"
_ORIGINS = frozenset({"WEB", "CLI", "CI", "MCP", "TEST", "SCHEDULER", "WEBHOOK"})
_LEVELS = frozenset({LIMITED_PERMISSIONS, FULL_PERMISSIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """
    The input record of a run.

    Attributes:
        body: None for no record.
        value: the body read as a JSON object; empty where it is none.
        script: of a simulated Actor.
    """

    body: bytes | None
    content_type: str
    value: dict[str, Any]
    script: Script | None = None


async def start_run(
    context: Context, call: Call, actor: Actor, task: Task | None, *, has_body: bool = True
) -> Run:
    """
    Start a run as a request asks for.

    Args:
        has_body: False for the endpoints that take no input.

    Raises:
        ApiError: the options, the input or the account do not allow it; nothing was started.
    """
    options = read_options(call, actor, task)
    hooks = read_ad_hoc(call.text("webhooks")) if "webhooks" in call.query else []
    body = await call.body() if has_body else b""
    given = read_input(actor, task, body, call.content_type)
    context.lives.check_room(options.memory_mbytes)
    run = _make_run(context, call, actor, task, options, given)
    for hook in hooks:
        hook = {**hook, "condition": {"actorRunId": run.id}}
        context.webhooks.create(hook, is_ad_hoc=True)
    context.lives.create(run, given.script)
    return run


def read_options(call: Call, actor: Actor, task: Task | None) -> RunOptions:
    """
    Return the options of a start: the query's, else the task's, else the Actor's.
    """
    level = call.text("forcePermissionLevel")
    if level and level not in _LEVELS:
        raise invalid_parameter("forcePermissionLevel", f"must be one of {sorted(_LEVELS)}")
    own = task.options if task is not None else {}
    return _options(
        build=check_build(actor, call.text("build") or own.get("build")),
        timeout_secs=_first(call.number("timeout"), own.get("timeoutSecs"), actor.timeout_secs),
        memory_mbytes=_first(call.number("memory"), own.get("memoryMbytes"), actor.memory_mbytes),
        max_items=_first(call.number("maxItems"), own.get("maxItems"), actor.max_items),
        max_total_charge_usd=_first(
            call.number("maxTotalChargeUsd"), own.get("maxTotalChargeUsd"), None
        ),
        restart_on_error=call.flag(
            "restartOnError", default=bool(own.get("restartOnError", actor.restart_on_error))
        ),
    )


def changed_options(call: Call, old: RunOptions, build: str) -> RunOptions:
    """
    Return the options of a resurrection: the query's, else what the run had.
    """
    return _options(
        build=build,
        timeout_secs=_first(call.number("timeout"), None, old.timeout_secs),
        memory_mbytes=_first(call.number("memory"), None, old.memory_mbytes),
        max_items=_first(call.number("maxItems"), None, old.max_items),
        max_total_charge_usd=_first(
            call.number("maxTotalChargeUsd"), None, old.max_total_charge_usd
        ),
        restart_on_error=call.flag("restartOnError", default=old.restart_on_error),
    )


def _first(asked: float | None, own: Any, default: Any) -> Any:
    if asked is not None:
        return asked
    return default if own is None else own


@lru_cache(maxsize=256)
def _options(
    *,
    build: str,
    timeout_secs: float,
    memory_mbytes: float,
    max_items: float | None,
    max_total_charge_usd: float | None,
    restart_on_error: bool,
) -> RunOptions:
    """
    Return checked options; the same ones share one value.
    """
    if timeout_secs < 0 or timeout_secs > 2**31:
        raise invalid_parameter("timeout", f"must be 0 or more seconds, got {timeout_secs:g}")
    if memory_mbytes not in MEMORY_STEPS:
        raise invalid_parameter(
            "memory",
            f"must be a power of two from 128 to 32768 megabytes, got {memory_mbytes:g}",
        )
    if max_items is not None and max_items < 1:
        raise ApiError(
            400, "max-items-must-be-greater-than-zero", "Maximum items must be greater than zero"
        )
    if max_total_charge_usd is not None and max_total_charge_usd <= 0:
        raise ApiError(
            400,
            "max-total-charge-usd-must-be-greater-than-zero",
            "Maximum total charge must be greater than zero",
        )
    return RunOptions(
        build=build,
        timeout_secs=int(timeout_secs),
        memory_mbytes=int(memory_mbytes),
        max_items=None if max_items is None else int(max_items),
        max_total_charge_usd=max_total_charge_usd,
        restart_on_error=restart_on_error,
    )


def read_input(actor: Actor, task: Task | None, body: bytes, content_type: str) -> GivenInput:
    """
    Return the input record: merged over the task's, defaults filled in, and checked.

    A body that is not JSON is kept as it is, unless a task or an input schema has to read it.
    """
    if body == b"null":
        # What official clients send when they were given no input.
        body = b""
    is_json = "json" in content_type or not content_type
    must_read = task is not None or actor.input_schema is not None
    if not must_read and not is_json:
        script = None if actor.simulation is None else Script()
        return GivenInput(body=body or None, content_type=content_type, value={}, script=script)
    must_read = must_read or actor.simulation is not None
    value = _parse(body, must_be_object=must_read)
    if not must_read:
        return GivenInput(body=body or None, content_type=content_type or _JSON, value={})
    assert isinstance(value, dict)  # noqa: S101 - asked for above
    merged = {**((task.input if task else None) or {}), **value}
    if actor.simulation:
        merged = {**actor.simulation, **merged}
    merged = with_defaults(actor.input_schema, merged)
    check_input(actor.input_schema, merged)
    if merged != value:
        body, content_type = orjson.dumps(merged), _JSON
    return GivenInput(
        body=body or None,
        content_type=content_type or _JSON,
        value=merged,
        script=None if actor.simulation is None else read_script(merged),
    )


def _parse(body: bytes, *, must_be_object: bool) -> Any:
    if not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise ApiError(
            400, "run-input-body-not-valid-json", f"Input body is not valid JSON: {problem}"
        ) from None
    if must_be_object and not isinstance(value, dict):
        raise ApiError(400, "input-json-not-object", "Input must be a JSON object")
    return value


def _make_run(
    context: Context,
    call: Call,
    actor: Actor,
    task: Task | None,
    options: RunOptions,
    given: GivenInput,
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
        granted=[] if is_virtual else named_storages(context, _value_of(given)),
    )
    if given.script is not None and given.script.datasets:
        aliases = tuple(given.script.datasets)
        run.datasets = dict(zip(aliases, new_ids(len(aliases)), strict=True))
    if given.body is not None:
        _keep_input(context, run, given)
    if is_virtual and given.value.get("fail_attempts"):
        run.attempt = context.runs.next_attempt(attempt_key(run))
    return run


def _value_of(given: GivenInput) -> Any:
    """
    Return an input as JSON; None where it is none.
    """
    if given.value or given.body is None:
        return given.value
    try:
        return orjson.loads(given.body)
    except orjson.JSONDecodeError:
        return None


def _keep_input(context: Context, run: Run, given: GivenInput) -> None:
    body = given.body or b""
    run.input_type = given.content_type
    # A simulation's input always stays with the run, which is read from it again and again.
    if run.is_virtual:
        run.input_text = body.decode()
        return
    store = context.stores.open_for(run, run.store_id)
    store.put(run.input_key, body, given.content_type)


def attempt_key(run: Run) -> str:
    """
    Return what runs with the same Actor, task and input have in common.
    """
    return f"{run.actor_id}\0{run.task_id}\0{run.input_text}"


def _origin(call: Call) -> str:
    if call.run_id is not None:
        return "ACTOR"
    asked = call.headers.get("X-Apify-Request-Origin", "").upper()
    return asked if asked in _ORIGINS else "API"


def check_only(actor: Actor, body: bytes) -> None:
    """
    Check an input without starting anything.

    Raises:
        ApiError: the input breaks the schema (400).
    """
    value = _parse(body, must_be_object=True)
    if not isinstance(value, dict):
        raise invalid_input("Input must be a JSON object")
    check_input(actor.input_schema, with_defaults(actor.input_schema, value))
    if actor.simulation is not None:
        read_script(value)
