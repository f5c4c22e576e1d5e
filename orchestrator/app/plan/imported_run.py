"""A spec of one job that repeats a run from elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from orchestrator.apify import ApifyClient
from orchestrator.apify.models import Actor, Run
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import InputRejected, NotFound, PermanentError, UsageError
from orchestrator.model.ids import RunId, StoreId
from orchestrator.model.jobs import MAX_INPUT_BYTES, Target, TargetKind

BARE = re.compile(r"[A-Za-z0-9_-]+")


async def spec_of_run(run_id: str, context: BatchContext) -> str:
    """
    The text of a spec: TOML, or JSON when the input has a null, which TOML does not have.

    Raises:
        UsageError: there is no such run.
        PlatformError.
    """
    async with connected_client(None, context) as client:
        try:
            run = await client.runs.get(RunId(run_id))
        except (NotFound, InputRejected) as error:
            raise UsageError(f"run {run_id}: {error.message}") from error
        name, target = await _target_of(client, run)
        given = await _input_of(client, run)
    options = run.options
    job: dict[str, Any] = {"name": name, target.kind.value: target.id}
    if options is not None:
        job |= {
            "build": options.build,
            "memory_mbytes": options.memory_mbytes,
            "timeout_secs": options.timeout_secs,
            "max_items": options.max_items or None,
            "max_total_charge_usd": (
                float(options.max_total_charge_usd) if options.max_total_charge_usd else None
            ),
        }
    job = {field: value for field, value in job.items() if value is not None}
    if given is not None:
        job["input"] = literal(given)
    return spec_text(name, job)


def spec_text(name: str, job: dict[str, Any]) -> str:
    """A spec with one job."""
    if _has_null(job):
        return json.dumps({"batch": {"name": name}, "jobs": [job]}, indent=2) + "\n"
    lines = ["[batch]", f"name = {_toml(name)}", "", "[[jobs]]"]
    given = job.pop("input", None)
    lines += [f"{field} = {_toml(value)}" for field, value in job.items()]
    if given is not None:
        lines += ["", "[jobs.input]"]
        lines += [f"{_key(field)} = {_toml(value)}" for field, value in given.items()]
    return "\n".join(lines) + "\n"


def literal(value: Any) -> Any:
    """A value without templates: each `{{` is written as an expression."""
    match value:
        case str():
            return value.replace("{{", "{{ '{' ~ '{' }}")
        case list():
            return [literal(element) for element in value]
        case dict():
            return {field: literal(inner) for field, inner in value.items()}
        case _:
            return value


async def _target_of(client: ApifyClient, run: Run) -> tuple[str, Target]:
    """The name of the Actor or task of a run, and the target in a form that people know."""
    kind = TargetKind.TASK if run.actor_task_id else TargetKind.ACTOR
    target = Target(kind=kind, id=run.actor_task_id or run.act_id or "")
    try:
        found = await client.actors.get_target(target)
    except PermanentError:
        return "imported", target
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", found.name or "") or "imported"
    # The input of a task's run includes the task's input, so the spec names the Actor.
    if not isinstance(found, Actor):
        target = Target(kind=TargetKind.ACTOR, id=found.act_id)
        return name, target
    if found.username and found.name:
        target = Target(kind=kind, id=f"{found.username}/{found.name}")
    return name, target


async def _input_of(client: ApifyClient, run: Run) -> dict[str, Any] | None:
    store = StoreId(run.default_key_value_store_id)
    try:
        async with client.storages.stream_record(store, "INPUT") as download:
            value = orjson.loads(await download.read(MAX_INPUT_BYTES * 2))
    except (NotFound, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    return any(map(_has_null, value)) if isinstance(value, list) else value is None


def _toml(value: Any) -> str:
    match value:
        case dict():
            inner = ", ".join(f"{_key(field)} = {_toml(v)}" for field, v in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            # TOML writes text, numbers and booleans like JSON.
            text = json.dumps(value, ensure_ascii=False)
            return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    """A character that steers no terminal and hides nothing; else its escape."""
    return char if char.isprintable() else f"\\U{ord(char):08X}"


def _key(field: str) -> str:
    return field if BARE.fullmatch(field) else _toml(field)
