"""The input record of a run: merged with the task's, completed with defaults, and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from apify_emulator.actors.actor import Actor
from apify_emulator.actors.input_schema import check_input, with_defaults
from apify_emulator.actors.task import Task
from apify_emulator.refusals import ApiError, invalid_input
from apify_emulator.runs.simulation import Script, read_script

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """
    The input record of a run.

    Attributes:
        body: None without a record.
        value: the body as a JSON object; empty if it is not one.
        script: of a simulated Actor.
    """

    body: bytes | None
    content_type: str
    value: dict[str, Any]
    script: Script | None = None


def read_input(actor: Actor, task: Task | None, body: bytes, content_type: str) -> RunInput:
    """
    Returns the checked input record: the body over the task's input, with defaults.

    A body that is not JSON stays as it is, unless a task or an input schema must read it.
    """
    if body == b"null":
        # Official clients send this when their caller gives no input.
        body = b""
    is_json = "json" in content_type or not content_type
    must_read = task is not None or actor.input_schema is not None
    if not must_read and not is_json:
        script = None if actor.simulation is None else Script()
        return RunInput(body=body or None, content_type=content_type, value={}, script=script)
    must_read = must_read or actor.simulation is not None
    value = _parse(body, must_be_object=must_read)
    if not must_read:
        return RunInput(body=body or None, content_type=content_type or _JSON, value={})
    assert isinstance(value, dict)  # noqa: S101 - `_parse` checks it
    merged = {**((task.input if task else None) or {}), **value}
    if actor.simulation:
        merged = {**actor.simulation, **merged}
    merged = with_defaults(actor.input_schema, merged)
    check_input(actor.input_schema, merged)
    # An unchanged input keeps the exact bytes of the caller.
    if merged != value:
        body, content_type = orjson.dumps(merged), _JSON
    return RunInput(
        body=body or None,
        content_type=content_type or _JSON,
        value=merged,
        script=_script(actor, merged),
    )


def _script(actor: Actor, value: dict[str, Any]) -> Script | None:
    if actor.simulation is None:
        return None
    # The input of a stand-in is that of the real Actor, so `run_start` chooses a recording by it.
    return Script() if actor.is_stand_in else read_script(value)


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


def value_of(given: RunInput) -> Any:
    """Returns an input as JSON; None if it is not JSON."""
    if given.value or given.body is None:
        return given.value
    try:
        return orjson.loads(given.body)
    except orjson.JSONDecodeError:
        return None


def check_only(actor: Actor, body: bytes) -> None:
    """
    Checks an input without starting anything.

    Raises:
        ApiError: the input breaks the schema (400).
    """
    value = _parse(body, must_be_object=True)
    if not isinstance(value, dict):
        raise invalid_input("Input must be a JSON object")
    check_input(actor.input_schema, with_defaults(actor.input_schema, value))
    _script(actor, value)
