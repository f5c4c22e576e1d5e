"""
The JSON Schema of a spec, for editors.
"""

from __future__ import annotations

from pydantic import JsonValue

from orchestrator.spec.model import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, JsonValue]:
    """
    JSON Schema (draft 2020-12) of a spec, with descriptions and units.
    """
    schema: dict[str, JsonValue] = Spec.model_json_schema()
    return {"$schema": DIALECT, **schema}
