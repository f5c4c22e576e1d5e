"""
Our values as the API wants them: paths and query strings.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from urllib.parse import quote, urlencode

import orjson
from pydantic.alias_generators import to_camel

from orchestrator.model.jobs import ItemsQuery, RunOptions, Target, TargetKind, Webhook

Parameter = tuple[str, str]


def segment(name: str) -> str:
    """
    An id or a name as one segment of a path: `owner/name` becomes `owner~name`.
    """
    return quote(name.replace("/", "~"), safe="~")


def target_path(target: Target, actors_prefix: str) -> str:
    """
    The path of an Actor or a task.
    """
    prefix = actors_prefix if target.kind is TargetKind.ACTOR else "actor-tasks"
    return f"/{prefix}/{segment(target.id)}"


@lru_cache(maxsize=1024)
def run_parameters(options: RunOptions) -> tuple[Parameter, ...]:
    """
    The parameters of a start that are set.
    """
    values = {
        "timeout": options.timeout_secs,
        "memory": options.memory_mbytes,
        "maxItems": options.max_items,
        "maxTotalChargeUsd": options.max_total_charge_usd,
        "restartOnError": options.restart_on_error,
        "build": options.build,
        "forcePermissionLevel": options.force_permission_level,
        "webhooks": encode_webhooks(options.webhooks) if options.webhooks else None,
    }
    return tuple((name, shown(value)) for name, value in values.items() if value is not None)


@lru_cache(maxsize=1024)
def items_parameters(query: ItemsQuery) -> tuple[Parameter, ...]:
    """
    The parameters of the items endpoint that are set.
    """
    pairs = ((field.name, getattr(query, field.name)) for field in fields(query))
    return tuple(
        (to_camel(name), ",".join(value) if isinstance(value, tuple) else shown(value))
        for name, value in pairs
        if value is not None and value != ()
    )


def with_query(path: str, parameters: Iterable[Parameter]) -> str:
    """
    A path with its query, percent-encoded.
    """
    query = urlencode(list(parameters), quote_via=quote)
    return f"{path}?{query}" if query else path


def encode_webhooks(webhooks: Iterable[Webhook]) -> str:
    """
    Ad-hoc webhooks as the `webhooks` parameter: Base64 of a JSON array.
    """
    listed = [
        {
            to_camel(field.name): value
            for field in fields(webhook)
            if (value := getattr(webhook, field.name)) is not None
        }
        for webhook in webhooks
    ]
    return base64.b64encode(orjson.dumps(listed)).decode()


def shown(value: object) -> str:
    """
    A value as text in a query.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            text = value.astimezone(UTC).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)
