"""An Actor's input schema: its defaults and its rules."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from apify_emulator.refusals import ApiError, invalid_input

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class _Range(NamedTuple):
    """The names of two rules that limit a value, and the words of their refusal."""

    least: str
    most: str
    words: str


_NUMBER = _Range("minimum", "maximum", "must be")
_TEXT = _Range("minLength", "maxLength", "must have a length")
_LIST = _Range("minItems", "maxItems", "must have a number of items")
_OBJECT = _Range("minProperties", "maxProperties", "must have")


def with_defaults(schema: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the input with the schema's defaults for missing fields."""
    if schema is None:
        return given
    defaults = {
        name: rules["default"]
        for name, rules in _properties(schema).items()
        if "default" in rules and name not in given
    }
    return {**defaults, **given} if defaults else given


def check_input(schema: dict[str, Any] | None, given: dict[str, Any]) -> None:
    """
    Checks an input with its defaults against the schema.

    Raises:
        ApiError: the first rule that the input breaks (400, `invalid-input`).
    """
    if schema is None:
        return
    try:
        _check(schema, given)
    except (TypeError, AttributeError) as problem:
        raise invalid_input(f"The input schema of the Actor is not valid: {problem}") from problem


def _check(schema: dict[str, Any], given: dict[str, Any]) -> None:
    for name in schema.get("required") or ():
        if name not in given:
            raise _broken(name, "is required")
    properties = _properties(schema)
    for name, value in given.items():
        rules = properties.get(name)
        if rules is not None:
            _check_value(name, value, rules)
        elif schema.get("additionalProperties") is False:
            raise invalid_input(f"Input is not valid: Property input.{name} is not allowed")


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: rules for name, rules in properties.items() if isinstance(rules, dict)}


def _broken(name: str, problem: str) -> ApiError:
    return invalid_input(f"Input is not valid: Field input.{name} {problem}")


def _check_value(name: str, value: Any, rules: dict[str, Any]) -> None:
    if value is None and rules.get("nullable"):
        return
    wanted = rules.get("type")
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if kinds and not any(_is_a(value, kind) for kind in kinds):
        raise _broken(name, f"must be {' or '.join(kinds)}")
    allowed = rules.get("enum")
    if allowed is not None and value not in allowed:
        raise _broken(name, f"must be equal to one of the allowed values: {allowed}")
    if isinstance(value, str):
        _check_text(name, value, rules)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(name, value, rules, _NUMBER)
    elif isinstance(value, list):
        _check_list(name, value, rules)
    elif isinstance(value, dict):
        _check_range(name, len(value), rules, _OBJECT)


def _is_a(value: Any, kind: str) -> bool:
    # In Python a boolean is an integer, but not in JSON.
    if isinstance(value, bool):
        return kind == "boolean"
    # JSON has one type of numbers, so 3.0 is an integer.
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    if kind == "null":
        return value is None
    return isinstance(value, _TYPES.get(kind, (object,)))


def _check_text(name: str, value: str, rules: dict[str, Any]) -> None:
    _check_range(name, len(value), rules, _TEXT)
    pattern = rules.get("pattern")
    if pattern and not _matches(pattern, value):
        raise _broken(name, f"must match the pattern {pattern}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # A pattern of JavaScript that Python does not know is not checked.
        return True


def _check_list(name: str, value: list[Any], rules: dict[str, Any]) -> None:
    _check_range(name, len(value), rules, _LIST)
    if rules.get("uniqueItems") and any(item in value[:at] for at, item in enumerate(value)):
        raise _broken(name, "must not contain an item twice")
    items = rules.get("items")
    if isinstance(items, dict):
        for at, item in enumerate(value):
            _check_value(f"{name}[{at}]", item, items)


def _check_range(name: str, size: float, rules: dict[str, Any], limits: _Range) -> None:
    if limits.least in rules and size < rules[limits.least]:
        raise _broken(name, f"{limits.words} >= {rules[limits.least]}")
    if limits.most in rules and size > rules[limits.most]:
        raise _broken(name, f"{limits.words} <= {rules[limits.most]}")
