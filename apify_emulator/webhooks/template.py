"""The templates of payloads and headers: JSON with variables such as `{{resource.id}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from apify_emulator.times import iso

VARIABLES = ("userId", "createdAt", "eventType", "eventData", "resource", "globals")
DEFAULT = (
    '{"userId": {{userId}}, "createdAt": {{createdAt}}, "eventType": {{eventType}}, '
    '"eventData": {{eventData}}, "resource": {{resource}}}'
)
# A text of JSON, or a variable outside of one.
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|\{\{([^{}]*)\}\}', re.DOTALL)
_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")


def variables_of(event: Mapping[str, Any], moment: float) -> dict[str, Any]:
    """Returns the values of all variables: those of an event, and its time."""
    return {**event, "globals": {"dateISO": iso(moment), "dateUnix": int(moment)}}


def render(template: str, values: Mapping[str, Any], *, interpolate: bool) -> Any:
    """
    Returns what a template gives.

    Args:
        interpolate: whether variables inside of texts are replaced too.

    Raises:
        ValueError: a variable is not known, or the rest is not valid JSON.
    """

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else orjson.dumps(_value(name, values)).decode()

    try:
        rendered = orjson.loads(_PART.sub(replaced, template))
    except orjson.JSONDecodeError as problem:
        raise ValueError(f"is not valid JSON: {problem}") from problem
    return _interpolated(rendered, values) if interpolate else rendered


def check(template: str, *, interpolate: bool) -> Any:
    """
    Returns what a template gives without an event.

    Raises:
        ValueError: a variable is not known, or the rest is not valid JSON.
    """
    return render(template, dict.fromkeys(VARIABLES), interpolate=interpolate)


def _value(name: str, values: Mapping[str, Any]) -> Any:
    first, *rest = name.strip().split(".")
    if first not in values:
        raise ValueError(f"unknown variable {{{{{name}}}}}; known are {', '.join(VARIABLES)}")
    value = values[first]
    for part in rest:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _interpolated(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _interpolated(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_interpolated(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _VARIABLE.fullmatch(value)
    if whole is not None:
        return _value(whole[1], values)
    return _VARIABLE.sub(lambda found: _text(_value(found[1], values)), value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
