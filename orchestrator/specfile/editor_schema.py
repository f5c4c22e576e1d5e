"""The JSON Schema of a spec, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, JsonValue

from orchestrator.specfile import model
from orchestrator.specfile.field_descriptions import descriptions_of
from orchestrator.specfile.sweep import matrix

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NULL = {"type": "null"}
EXAMPLE: dict[str, JsonValue] = {
    "batch": {"name": "nightly-products", "max_runs": 32},
    "defaults": {"memory_mbytes": 1024, "timeout_secs": 3600, "retries": 2},
    "jobs": [
        {
            "name": "search-{{ query | slug }}-{{ page }}",
            "actor": "apify/web-scraper",
            "input": {"query": "{{ query }}", "page": "{{ page }}"},
            "matrix": {
                "query": {"file": "queries.csv", "column": "query"},
                "page": {"range": [1, 5]},
            },
            "collect": {"fields": ["title", "price"], "clean": True},
        }
    ],
}


def spec_schema() -> dict[str, JsonValue]:
    """JSON Schema (draft 2020-12) of a spec, with descriptions, units, defaults and an example."""
    schema = model.Spec.model_json_schema()
    for name, table in [("Spec", schema), *schema["$defs"].items()]:
        kind = getattr(model, name, None) or getattr(matrix, name, None)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            _describe(table, descriptions_of(kind))
    return {"$schema": DIALECT, **schema, "examples": [EXAMPLE]}


def _describe(table: dict[str, Any], descriptions: dict[str, str]) -> None:
    """Adds the descriptions, and removes null, because TOML has no null."""
    for name, field in table["properties"].items():
        field.pop("title", None)
        # TOML has no null, so no editor should offer it.
        kinds = [kind for kind in field.pop("anyOf", []) if kind != NULL]
        if len(kinds) == 1:
            field.update(kinds[0])
        elif kinds:
            field["anyOf"] = kinds
        if field.get("default", ...) is None:
            del field["default"]
        if name in descriptions:
            field["description"] = descriptions[name]
