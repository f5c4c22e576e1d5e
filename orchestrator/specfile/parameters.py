"""The values of `[params]`, overridden by `--param` of the command line."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from orchestrator.specfile.diagnostics import unknown
from orchestrator.specfile.text.positions import Path as FieldPath

RESERVED = "env"
BAD_NAME = "is not a valid parameter name: use letters, digits and _; env is reserved"
KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list, as JSON",
    dict: "a table, as JSON",
}
Found = list[tuple[FieldPath, str]]


def is_parameter_name(name: str) -> bool:
    """Whether templates can use a name."""
    return name.isidentifier() and name != RESERVED


def given_params(
    declared: Mapping[str, JsonValue], given: Mapping[str, str]
) -> tuple[dict[str, JsonValue], Found]:
    """The values of the parameters, each in the type that the spec gives it, and the mistakes."""
    params = dict(declared)
    found: Found = [
        (("params", name), BAD_NAME) for name in declared if not is_parameter_name(name)
    ]
    for name, text in given.items():
        if name not in declared:
            found.append((("params",), f"--param {name}: {unknown(name, declared, 'parameter')}"))
            continue
        try:
            params[name] = _typed_like(declared[name], text)
        except ValueError:
            kind = KINDS[type(declared[name])]
            found.append((("params", name), f"--param {name}={text}: expected {kind}"))
    return params, found


def _typed_like(example: JsonValue, text: str) -> JsonValue:
    # Null, which is also `name:` in YAML, has no type to follow.
    if example is None or isinstance(example, str):
        return text
    value: JsonValue = orjson.loads(text)
    # 2 is a good value for a parameter of 1.5.
    if isinstance(example, float) and type(value) is int:
        return value
    # Types and not `isinstance`: true is an int to Python.
    if type(value) is not type(example):
        raise ValueError(text)
    return value
