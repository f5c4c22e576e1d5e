"""What a webhook is, and how it is read from a request."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from apify_emulator.ids import new_id
from apify_emulator.refusals import invalid_input
from apify_emulator.times import now
from apify_emulator.webhooks.template import check

EVENTS = frozenset(
    {
        *(
            f"ACTOR.RUN.{name}"
            for name in ("CREATED", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "RESURRECTED")
        ),
        *(
            f"ACTOR.BUILD.{name}"
            for name in ("CREATED", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
        ),
        "TEST",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """
    One webhook, ad-hoc or persistent.

    Attributes:
        condition: `actorId`, `actorTaskId` or `actorRunId`.
    """

    id: str
    event_types: list[str]
    request_url: str
    condition: dict[str, str]
    is_ad_hoc: bool
    payload_template: str | None = None
    headers_template: str | None = None
    description: str | None = None
    idempotency_key: str | None = None
    ignore_ssl_errors: bool = False
    do_not_retry: bool = False
    should_interpolate: bool = False
    created_at: float
    modified_at: float


def read_ad_hoc(encoded: str) -> list[dict[str, Any]]:
    """
    Returns the checked webhooks of a start's `webhooks` parameter.

    Raises:
        ApiError: it is not Base64 of a JSON array of webhooks (400).
    """
    if not encoded:
        return []
    try:
        # A plus sign that is not percent-encoded arrives as a space.
        value = orjson.loads(base64.b64decode(encoded.replace(" ", "+"), validate=True))
    except (binascii.Error, ValueError):
        raise invalid_input('"webhooks" must be the Base64 of a JSON array') from None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise invalid_input('"webhooks" must be the Base64 of a JSON array of objects')
    for entry in value:
        read_webhook({**entry, "condition": {}}, is_ad_hoc=True)
    return value


def read_webhook(body: dict[str, Any], *, is_ad_hoc: bool) -> Webhook:
    """
    Returns the webhook that a body describes.

    Raises:
        ApiError: a field is missing or not valid (400).
    """
    events = body.get("eventTypes")
    if not isinstance(events, list) or not events or not EVENTS.issuperset(map(str, events)):
        raise invalid_input(f'"eventTypes" must be a list of {", ".join(sorted(EVENTS))}')
    url = body.get("requestUrl")
    if not isinstance(url, str) or not _is_http(url):
        raise invalid_input('"requestUrl" must be an http or https URL')
    condition = body.get("condition")
    if not isinstance(condition, dict):
        raise invalid_input('"condition" must be an object')
    moment = now()
    return Webhook(
        id=new_id(),
        event_types=events,
        request_url=url,
        condition={name: str(value) for name, value in condition.items() if value},
        is_ad_hoc=is_ad_hoc or bool(body.get("isAdHoc")),
        payload_template=_template(body, "payloadTemplate"),
        headers_template=_template(body, "headersTemplate", of_texts=True),
        description=_text(body, "description"),
        idempotency_key=_text(body, "idempotencyKey"),
        ignore_ssl_errors=bool(body.get("ignoreSslErrors")),
        do_not_retry=bool(body.get("doNotRetry")),
        should_interpolate=bool(body.get("shouldInterpolateStrings")),
        created_at=moment,
        modified_at=moment,
    )


def _is_http(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _template(body: dict[str, Any], name: str, *, of_texts: bool = False) -> str | None:
    template = _text(body, name)
    if not template:
        return None
    try:
        value = check(template, interpolate=bool(body.get("shouldInterpolateStrings")))
    except ValueError as problem:
        raise invalid_input(f'"{name}" {problem}') from None
    if of_texts and not isinstance(value, dict):
        raise invalid_input(f'"{name}" must be a JSON object')
    return template


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid_input(f'"{name}" must be a string')
    return value
