"""Durations in seconds, which a spec, a setting or a variable may also give as text."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from orchestrator.model.ages import age_secs


class Duration:
    """Accepts a text such as `10m` for a number of seconds."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_duration, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": "^[0-9.]+[smhdw]$"}]}


def _duration(value: Any) -> Any:
    secs = age_secs(value) if isinstance(value, str) else None
    if secs is None:
        return value
    return int(secs) if secs.is_integer() else secs
