"""The values that a field allows, in words, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The patterns of field_types.py that have a name.
TEMPLATE = r"\{\{.*\}\}"
PATTERNS = {
    TEMPLATE: "a template",
    r"^\{\{.*\}\}$": "a template",
    r"^[0-9.]+[smhdw]$": 'a text such as `"24h"`',
    r"^[0-9.]+ ?%$": 'a share such as `"10%"`',
}
NOUNS = {
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "number": "number",
    "object": "table",
    "string": "text",
}


def allowed_values(field: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """
    What a field may hold, such as `whole number from 1`.

    Args:
        field: its JSON Schema.
        links: what to show for each definition that the schema refers to.
    """
    if "$ref" in field:
        return links.get(str(field["$ref"]).rpartition("/")[2], "any value")
    for choice in ("anyOf", "oneOf"):
        if choice in field:
            return _choice([allowed_values(kind, links) for kind in field[choice]])
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    match field.get("type"):
        case "array":
            return _array(field, links)
        case "object" if _is_typed(field.get("additionalProperties")):
            return (
                f"table of names, each with {allowed_values(field['additionalProperties'], links)}"
            )
        case "string" if field.get("pattern") in PATTERNS:
            return PATTERNS[field["pattern"]]
        case "string" if field.get("maxLength") == 1:
            return "one character"
        case kind:
            return NOUNS.get(str(kind), "any value") + _bounds(field)


def _choice(kinds: list[str]) -> str:
    first, *others = dict.fromkeys(kinds)
    if others == [f"list of {first}"]:
        others = ["a list of them"]  # of values that were just listed
    if kinds == ["number", "whole number"]:
        others = []
    return ", or ".join((first, *others))


def _array(field: Mapping[str, Any], links: Mapping[str, str]) -> str:
    fewest, most = field.get("minItems"), field.get("maxItems")
    number = ""
    if most is not None:
        number = f"{most} " if fewest == most else f"{fewest} to {most} "
    return f"list of {number}{_plural(allowed_values(field.get('items', {}), links))}"


def _plural(values: str) -> str:
    for noun in ("text", "whole number", "number", "table"):
        if values == noun or values.startswith(f"[{noun}]"):
            return values.replace(noun, f"{noun}s", 1)
    return values.replace("list of", "lists of") if values.startswith("list of") else values


def _is_typed(values: Any) -> bool:
    return isinstance(values, dict) and not str(values.get("$ref")).endswith("/JsonValue")


def _bounds(field: Mapping[str, Any]) -> str:
    """The bounds of a number; empty without any. Those of 64 bits are not shown."""
    low, above, high = (field.get(n) for n in ("minimum", "exclusiveMinimum", "maximum"))
    low = None if low == -(2**63) else low
    if field.get("type") == "integer" and above is not None:
        low, above = above + 1, None
    start = f" from {low}" if low is not None else f" above {above}" if above is not None else ""
    return (
        start if high is None else f"{start}{', at most' if above is not None else ' to'} {high:,}"
    )
