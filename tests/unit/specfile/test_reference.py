from __future__ import annotations

from typing import Any

import pytest

from orchestrator.specfile.allowed_values import allowed_values
from orchestrator.specfile.editor_schema import spec_schema
from orchestrator.specfile.reference import TABLES, spec_reference

LINKS = {"Expect": "[table](#jobsexpect)"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, "whole number from 1"),
        ({"type": "integer", "minimum": 0, "maximum": 60}, "whole number from 0 to 60"),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 9}, "number above 1, at most 9"),
        ({"enum": ["a", "b"]}, '`"a"`, `"b"`'),
        ({"type": "array", "items": {"type": "string"}}, "list of texts"),
        ({"$ref": "#/$defs/Expect"}, "[table](#jobsexpect)"),
        ({"type": "array", "items": {"$ref": "#/$defs/Expect"}}, "list of [tables](#jobsexpect)"),
        (
            {"anyOf": [{"enum": [1]}, {"items": {"enum": [1]}, "type": "array"}]},
            "`1`, or a list of them",
        ),
        (
            {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": r"\{\{.*\}\}"}]},
            "`true` or `false`, or a template",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_allowed_values_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    """The reference says in words which values a field may have."""
    assert allowed_values(schema, LINKS) == words


def test_reference_has_values_and_meaning_of_every_field() -> None:
    """No field of a spec lacks its values or its meaning in the reference."""
    rows = [line.split(" | ") for line in spec_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if not all(cell.strip(" |") for cell in row)] == []
    assert "any value" not in {row[1] for row in rows}


def test_reference_names_the_default_of_every_field() -> None:
    """A field with a default of its own says which one in its meaning."""
    schema: Any = spec_schema()
    unsaid = [
        f"{table.__name__}.{name}: {field['default']}"
        for _, table in TABLES.values()
        if table.__name__ in schema["$defs"]
        for name, field in schema["$defs"][table.__name__]["properties"].items()
        if "default" in field and _shown(field["default"]) not in field["description"]
    ]
    assert unsaid == []


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) else str(default)
