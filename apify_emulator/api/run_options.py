"""The options of a run, from the request, the task and the Actor."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from apify_emulator.actors.actor import MEMORY_STEPS, Actor
from apify_emulator.actors.actor_registry import check_build
from apify_emulator.actors.task import Task
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, invalid_parameter
from apify_emulator.runs.run import FULL_PERMISSIONS, LIMITED_PERMISSIONS, RunOptions

_LEVELS = frozenset({LIMITED_PERMISSIONS, FULL_PERMISSIONS})


def read_options(call: Call, actor: Actor, task: Task | None) -> RunOptions:
    """Returns the options of a start: from the query, else the task, else the Actor."""
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
    """Returns the options of a resurrection: from the query, else those of the run."""
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
    """Returns checked options; equal options share one value."""
    if timeout_secs < 0 or timeout_secs > 2**31:
        raise invalid_parameter("timeout", f"must be 0 or more seconds, got {timeout_secs:g}")
    if memory_mbytes not in MEMORY_STEPS:
        raise invalid_parameter(
            "memory",
            f"must be a power of two from 128 to 32768 megabytes, got {memory_mbytes:g}",
        )
    if max_items is not None and max_items > 2**53:
        raise invalid_parameter("maxItems", f"must be at most {2**53}")
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
