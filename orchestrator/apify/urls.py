"""
Paths and queries of the API; pure.

Each endpoint gets the parameters that it has. A parameter that it does not have is an
`InputRejected` that names it: nothing is dropped in silence.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from urllib.parse import quote

import orjson

from orchestrator.errors import InputRejected
from orchestrator.model.jobs import (
    MAX_INPUT_BYTES,
    ItemsQuery,
    RunOptions,
    Target,
    TargetKind,
    Webhook,
)

MAX_WAIT_SECS = 60

# Constants: to read a member of the enumeration takes longer than the rest of a path.
ACTOR, TASK = TargetKind.ACTOR, TargetKind.TASK
Pairs = list[tuple[str, str]]


def segment(text: str) -> str:
    """
    One segment of a path; never one that leads elsewhere.

    Raises:
        InputRejected: servers and proxies would read it as a step of the path.
    """
    # Nearly all ids look like this, and `quote` costs far more than the test.
    if text.isalnum() and text.isascii():
        return text
    if not text:
        raise InputRejected("an empty name or id cannot be looked up")
    if text in {".", ".."}:
        raise InputRejected(f"the name or id {text!r} cannot be part of an address")
    # The same characters that JavaScript's `encodeURIComponent` leaves as they are.
    return quote(text, safe="~!'()*")


def key_segment(key: str) -> str:
    """The key of a record as a segment of a path; dots alone are written as escapes."""
    return key.replace(".", "%2E") if key in {".", ".."} else segment(key)


@lru_cache(maxsize=4096)
def reference(name: str) -> str:
    """An Actor or task in a path: an id, or `owner~name`, also when it was written `owner/name`."""
    return segment(name.replace("/", "~", 1))


def target_path(target: Target, prefix: str) -> str:
    """
    The path of an Actor or task.

    Args:
        prefix: of Actors, `acts` or `actors`.
    """
    place = prefix if target.kind is ACTOR else "actor-tasks"
    return f"/v2/{place}/{reference(target.id)}"


def query(pairs: Pairs) -> str:
    """A query with its question mark; empty for no parameters."""
    if not pairs:
        return ""
    return "?" + "&".join(
        f"{name}={value if value.isalnum() and value.isascii() else quote(value, safe='')}"
        for name, value in pairs
    )


def start_query(target: Target, options: RunOptions, wait_secs: int) -> str:
    """
    The query of a start that does not wait for the run's end.

    Raises:
        InputRejected: tasks have no permission level.
    """
    if options.force_permission_level is not None and target.kind is TASK:
        raise _no_parameter("force_permission_level", "a start of a task")
    return _start_query(options, wait_secs)


# Most jobs of a batch have the same options.
@lru_cache(maxsize=1024)
def _start_query(options: RunOptions, wait_secs: int) -> str:
    pairs = _run_pairs(options)
    if wait_secs:
        pairs.append(("waitForFinish", str(checked_wait(wait_secs))))
    if options.force_permission_level is not None:
        pairs.append(("forcePermissionLevel", options.force_permission_level))
    return query(pairs)


def sync_query(
    target: Target,
    options: RunOptions,
    *,
    by_get: bool,
    output_record_key: str | None = None,
    items: ItemsQuery | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> str:
    """
    The query of a start that waits for the run's end.

    Args:
        by_get: whether the start is a GET.
        output_record_key: None for the platform's own, `OUTPUT`.
        items: when the answer is the dataset's items instead of the output record.

    Raises:
        InputRejected: this endpoint does not have the parameter.
    """
    if options.force_permission_level is not None:
        raise _no_parameter("force_permission_level", 'a start with mode = "sync"')
    # The GET of a task is the only synchronous start without this parameter (API reference).
    if options.restart_on_error is not None and by_get and target.kind is TASK:
        raise _no_parameter("restart_on_error", "a start of a task by GET")
    pairs = _run_pairs(options)
    if output_record_key is not None:
        pairs.append(("outputRecordKey", output_record_key))
    if items is not None:
        pairs += items_pairs(items, offset, limit)
    return query(pairs)


def resurrect_query(options: RunOptions) -> str:
    """
    The query of a resurrection.

    Raises:
        InputRejected: a resurrection does not have the parameter.
    """
    if options.webhooks:
        raise _no_parameter("webhooks", "a resurrection")
    if options.force_permission_level is not None:
        raise _no_parameter("force_permission_level", "a resurrection")
    return query(_run_pairs(options))


# A batch has few different queries, and sends each of them many times.
@lru_cache(maxsize=1024)
def items_query(items: ItemsQuery, offset: int, limit: int | None) -> str:
    """The query of a dataset's items."""
    return query(items_pairs(items, offset, limit))


def items_pairs(items: ItemsQuery, offset: int, limit: int | None) -> Pairs:
    """
    The parameters of a dataset's items.

    Args:
        offset: items to skip.
        limit: None for all.
    """
    pairs: Pairs = [("format", items.format)]
    for name, wire_name in ITEM_PARAMETERS:
        value = getattr(items, name)
        if value is not None and value != ():
            pairs.append((wire_name, _text(value)))
    if offset:
        pairs.append(("offset", str(offset)))
    if limit is not None:
        pairs.append(("limit", str(limit)))
    return pairs


ITEM_PARAMETERS = (
    ("clean", "clean"),
    ("fields", "fields"),
    ("output_fields", "outputFields"),
    ("omit", "omit"),
    ("unwind", "unwind"),
    ("flatten", "flatten"),
    ("desc", "desc"),
    ("skip_empty", "skipEmpty"),
    ("skip_hidden", "skipHidden"),
    ("view", "view"),
    ("delimiter", "delimiter"),
    ("bom", "bom"),
    ("skip_header_row", "skipHeaderRow"),
    ("xml_root", "xmlRoot"),
    ("xml_row", "xmlRow"),
    ("feed_title", "feedTitle"),
    ("feed_description", "feedDescription"),
    ("simplified", "simplified"),
    ("skip_failed_pages", "skipFailedPages"),
)


def list_query(
    *,
    target: Target | None,
    started_after: datetime | None,
    started_before: datetime | None,
    status: Sequence[str],
    desc: bool,
    offset: int,
    limit: int,
) -> str:
    """
    The query of a list of runs.

    Raises:
        InputRejected: the list of a task's runs has no time filter.
    """
    of_task = target is not None and target.kind is TASK
    if of_task and (started_after or started_before):
        raise InputRejected("the list of a task's runs cannot be narrowed by time")
    pairs: Pairs = [("limit", str(limit))]
    if offset:
        pairs.append(("offset", str(offset)))
    if desc:
        pairs.append(("desc", "true"))
    if status:
        pairs.append(("status", ",".join(status)))
    if started_after is not None:
        pairs.append(("startedAfter", instant(started_after)))
    if started_before is not None:
        pairs.append(("startedBefore", instant(started_before)))
    return query(pairs)


def instant(at: datetime) -> str:
    """A moment as the API writes it: UTC with milliseconds."""
    # Not by a format, which takes nearly twice as long: each page of a list has one.
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def webhooks_text(webhooks: Sequence[Webhook]) -> str:
    """Ad-hoc webhooks as the parameter expects them: base64 of a JSON array."""
    array = [
        {
            name: value
            for name, value in (
                ("eventTypes", hook.event_types),
                ("requestUrl", hook.request_url),
                ("payloadTemplate", hook.payload_template),
                ("headersTemplate", hook.headers_template),
                ("idempotencyKey", hook.idempotency_key),
                ("ignoreSslErrors", hook.ignore_ssl_errors),
                ("doNotRetry", hook.do_not_retry),
            )
            if value is not None
        }
        for hook in webhooks
    ]
    return base64.b64encode(orjson.dumps(array)).decode()


def wait_query(wait_secs: int) -> str:
    """The query of a request that the platform may hold; empty for none."""
    return f"?waitForFinish={checked_wait(wait_secs)}" if wait_secs else ""


def checked_wait(wait_secs: int) -> int:
    """
    A wait that the platform keeps as it is.

    Raises:
        InputRejected: it is not 0 to 60 seconds.
    """
    if not 0 <= wait_secs <= MAX_WAIT_SECS:
        raise InputRejected(f"a wait of {wait_secs} s is not between 0 and {MAX_WAIT_SECS} s")
    return wait_secs


def check_body(body: bytes | None) -> None:
    """
    Refuses a body that is too long for the platform.

    Raises:
        InputRejected: it is longer than the API's limit.
    """
    if body is not None and len(body) > MAX_INPUT_BYTES:
        raise InputRejected(
            f"the input has {len(body)} bytes; the platform takes {MAX_INPUT_BYTES} at most. "
            "Put large data where the Actor can fetch it, and its address in the input"
        )


def _run_pairs(options: RunOptions) -> Pairs:
    pairs: Pairs = []
    if options.timeout_secs is not None:
        pairs.append(("timeout", str(options.timeout_secs)))
    if options.memory_mbytes is not None:
        pairs.append(("memory", str(options.memory_mbytes)))
    if options.max_items is not None:
        pairs.append(("maxItems", str(options.max_items)))
    if options.max_total_charge_usd is not None:
        pairs.append(("maxTotalChargeUsd", _text(options.max_total_charge_usd)))
    if options.restart_on_error is not None:
        pairs.append(("restartOnError", _text(options.restart_on_error)))
    if options.build is not None:
        pairs.append(("build", options.build))
    if options.webhooks:
        pairs.append(("webhooks", webhooks_text(options.webhooks)))
    return pairs


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            # `str` writes small amounts with an exponent: 0.0000001 would become 1E-7.
            return f"{value:f}"
        case tuple():
            return ",".join(value)
        case _:
            return str(value)


def _no_parameter(name: str, endpoint: str) -> InputRejected:
    return InputRejected(f"{endpoint} has no {name}; leave it out")
