"""The types of values in a spec: their bounds, and which may be templates."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from orchestrator.model.ages import age_secs
from orchestrator.model.schedule import check_schedule
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.durations import Duration
from orchestrator.specfile.resource_addresses import ResourceKind, is_address, resource_at
from orchestrator.specfile.templates.template import is_template

EventType = Literal[
    "ACTOR.RUN.CREATED",
    "ACTOR.RUN.SUCCEEDED",
    "ACTOR.RUN.FAILED",
    "ACTOR.RUN.ABORTED",
    "ACTOR.RUN.TIMED_OUT",
    "ACTOR.RUN.RESURRECTED",
    "ACTOR.BUILD.CREATED",
    "ACTOR.BUILD.SUCCEEDED",
    "ACTOR.BUILD.FAILED",
    "ACTOR.BUILD.ABORTED",
    "ACTOR.BUILD.TIMED_OUT",
    "TEST",
]
FailedStatus = Literal["FAILED", "TIMED-OUT", "ABORTED", "REJECTED"]
MEMORY_SIZES = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


class Table(BaseModel):
    """A table of the spec."""

    # Pydantic builds each as a part of the spec, and few of them alone.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class OrTemplate:
    """Accepts a template for any type; the value is checked after rendering."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(_template_or, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kind = handler(schema)
        if kind.get("type") == "string":
            return kind
        return {"anyOf": [kind, {"type": "string", "pattern": r"\{\{.*\}\}"}]}


def _template_or(value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, str) and is_template(value):
        return value
    return handler(value)


def _memory(value: int) -> int:
    if value not in MEMORY_SIZES:
        raise ValueError(f"must be a power of two from 128 to 32768 (megabytes), found {value}")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # By its text: Decimal(0.1) would be 0.1000000000000000055…
        return Decimal(str(value))
    return value


def _actor(value: Any) -> Any:
    return _without_address(value, "actor")


def _task(value: Any) -> Any:
    return _without_address(value, "task")


def _without_address(value: Any, wanted: ResourceKind) -> Any:
    """The id or name in the address of an Actor or a task; any other value as it is."""
    if not isinstance(value, str) or not is_address(value) or is_template(value):
        return value
    found = resource_at(value)
    if found is None:
        raise ValueError(f'must be an id or "owner/name", found {show(value)}')
    kind, name = found
    if kind != wanted:
        raise ValueError(f'is the address of a {kind}; write {kind} = "{name}"')
    return name


def _resource(value: str) -> str:
    # Checked offline: else only the platform would notice a wrong name.
    if not re.fullmatch(r"(?:[\w.-]*[/~])?[\w-][\w.-]*", value, re.ASCII):
        raise ValueError(f'must be an id or "owner/name", found {show(value)}')
    return value


def _input(value: JsonValue) -> JsonValue:
    is_template = isinstance(value, str) and value.startswith("{{") and value.endswith("}}")
    if not isinstance(value, dict) and not is_template:
        raise ValueError(f"expected a table, found {show(value)}")
    return value


def _address(value: Any) -> Any:
    # The value is a secret, so no message shows it.
    if not isinstance(value, str) or not value.strip():
        raise ValueError('must be text: a URL, or a template such as "{{ env.ALERT_URL }}"')
    if not is_template(value) and "://" not in value:
        raise ValueError('must be a URL such as "mailto://…" or a template "{{ env.ALERT_URL }}"')
    return value


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError(f"must be an http or https address, found {show(value)}")
    return value


def _age(value: Any) -> Any:
    secs = age_secs(value) if isinstance(value, str) else None
    if secs is None:
        raise ValueError(
            f'must be an age such as "24h" or "7d" (s, m, h, d, w), found {show(value)}'
        )
    return secs


def _failures(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str):
        share = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?) ?%", value)
        if share and 0 < float(share[1]) <= 100:
            return value
    raise ValueError(f'must be a count from 1 or a share such as "10%", found {show(value)}')


def _share(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    if isinstance(value, str):
        share = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?) ?%", value)
        if share and 0 < float(share[1]) <= 100:
            # As a text: a division by 100 gives another float than the share itself, often.
            return float(f"{share[1]}e-2")
    raise ValueError(f'must be a share such as "30%" or 0.3, found {show(value)}')


def _schedule(value: str) -> str:
    check_schedule(value)
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    # `ZoneInfo` raises OSError for the name of a folder, and ValueError for a path.
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError(
            f'must be a time zone such as "Europe/Prague" or "UTC", found {show(value)}'
        ) from None
    return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Listed:
    """Accepts a single value as a list of one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


Templated = OrTemplate()
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0), Templated]
Flag = Annotated[bool, Templated]
Money = Annotated[
    Decimal,
    Field(gt=0),
    BeforeValidator(_decimal),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
    Templated,
]
PlainMoney = Annotated[
    Decimal,
    Field(gt=0),
    BeforeValidator(_decimal),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Failures = Annotated[
    int | str,
    BeforeValidator(_failures),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9.]+ ?%$"},
            ]
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": "^[0-9.]+ ?%$"},
            ]
        }
    ),
]
Age = Annotated[
    float,
    BeforeValidator(_age),
    WithJsonSchema({"type": "string", "pattern": "^[0-9.]+[smhdw]$"}),
]
Address = Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string"})]
CronText = Annotated[str, AfterValidator(_schedule)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
PlainCount = Annotated[int, Field(ge=0)]
PlainMemory = Annotated[int, AfterValidator(_memory), WithJsonSchema({"enum": MEMORY_SIZES})]
TimeoutSecs = Annotated[int, Field(ge=0), Duration(), Templated]
Factor = Annotated[float, Field(gt=1, le=1000, allow_inf_nan=False, strict=False)]
Secs = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False), Duration()]
PositiveSecs = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False), Duration()]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)]
Memory = Annotated[int, AfterValidator(_memory), WithJsonSchema({"enum": MEMORY_SIZES}), Templated]
Poll = Annotated[int, Field(ge=0, le=60), Duration(), Templated]
Positive = Annotated[int, Field(gt=0)]
PositiveOrTemplate = Annotated[int, Field(gt=0), Templated]
WholeNumber = Annotated[int, Templated]
AnyText = Annotated[str, Templated]
WebAddress = Annotated[str, AfterValidator(_web_address), Templated]
ActorName = Annotated[str, AfterValidator(_resource), BeforeValidator(_actor), Templated]
TaskName = Annotated[str, AfterValidator(_resource), BeforeValidator(_task), Templated]
InputValue = Annotated[
    JsonValue,
    AfterValidator(_input),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string", "pattern": r"^\{\{.*\}\}$"}]}),
]
