"""
What the token of a run may do (Apify docs, "Actor permissions").

A run with LIMITED_PERMISSIONS can read and write its own storages, those that its Actor created,
and those that its input names. It can start other Actors and read their runs. It cannot use
anything else of the account: other runs, their inputs and logs, tasks, lists, limits. A run with
FULL_PERMISSIONS can do everything that the account's token can do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apify_emulator.api.context import Context
from apify_emulator.api.public_access import may_read
from apify_emulator.api.router import Route
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, no_permission
from apify_emulator.runs.run import FULL_PERMISSIONS, Run

_STARTS = frozenset({"runs", "run-sync", "run-sync-get-dataset-items", "validate-input"})
_OPEN = frozenset({"actor-builds/{buildId}", "users/me", "users/{userId}"})
_REFERENCE = re.compile(r"[A-Za-z0-9~_.-]{1,100}")


def check_permissions(context: Context, call: Call, route: Route) -> None:
    """
    Checks that the calling run has the permission; the account's owner may do everything.

    An endpoint that is open to all answers such a run as it answers a caller without a token.

    Raises:
        ApiError: the run lacks the permission (403), or what it names does not exist (404).
    """
    run = caller(context, call)
    if run is None or _may(context, run, call, route):
        return
    if not route.is_open and not may_read(context, call, route):
        raise no_permission()
    call.run_id, call.is_known = None, False


def caller(context: Context, call: Call) -> Run | None:
    """Returns the calling run if it has limited permissions; None for other callers."""
    run = None if call.run_id is None else context.runs.get(call.run_id)
    return None if run is None or run.permission_level == FULL_PERMISSIONS else run


def named_storages(context: Context, value: Any) -> list[str]:
    """Returns the ids of the storages that an input names, by id or by name."""
    found = []
    for text in _texts(value):
        if not _REFERENCE.fullmatch(text):
            continue
        for collection in (context.datasets, context.stores, context.queues):
            for reference in (text, f"~{text}"):
                try:
                    found.append(collection.get(reference).id)
                except ApiError:
                    continue
    return found


def _may(context: Context, run: Run, call: Call, route: Route) -> bool:
    method, params = call.method, call.params
    # A run must not start another run with more permissions than its own.
    if call.text("forcePermissionLevel") == FULL_PERMISSIONS:
        return False
    if "runId" in params:
        return _is_of(context, run, params["runId"])
    # The last run of an Actor can be the run of another caller.
    if route.template.endswith("runs/last") or "/runs/last/" in route.template:
        return False
    by_parameter = {
        "datasetId": context.datasets,
        "storeId": context.stores,
        "queueId": context.queues,
    }
    for name, collection in by_parameter.items():
        if name in params:
            return _may_use(context, run, collection, params[name])
    if "actorId" in params:
        is_start = route.template.rpartition("/")[2] in _STARTS
        is_read = method == "GET" and not route.template.endswith(("/runs", "/webhooks"))
        return is_read or (is_start and not (method == "GET" and route.template.endswith("/runs")))
    collections = {
        "datasets": context.datasets,
        "key-value-stores": context.stores,
        "request-queues": context.queues,
    }
    if method == "POST" and route.template in collections:
        return _may_create(context, run, collections[route.template], call.text("name"))
    # The webhooks endpoint checks the run itself, because the body names it.
    is_webhook = method == "POST" and route.template == "webhooks"
    return is_webhook or (method == "GET" and route.template in _OPEN)


def _is_of(context: Context, run: Run, run_id: str) -> bool:
    """Whether a run is the calling run, or was started by it, also indirectly."""
    ancestor: Run | None = context.runs.get(run_id)
    while ancestor is not None:
        if ancestor.id == run.id:
            return True
        ancestor = context.runs.by_id.get(ancestor.parent_id or "")
    return False


def _may_use(context: Context, run: Run, collection: Any, reference: str) -> bool:
    storage_id = collection.get(reference).id
    owner = context.runs.by_storage.get(storage_id)
    if owner is not None and _is_of(context, run, owner.id):
        return True
    return collection.creator_of(storage_id) == run.actor_id or storage_id in run.granted


def _may_create(context: Context, run: Run, collection: Any, name: str) -> bool:
    try:
        return not name or _may_use(context, run, collection, f"~{name}")
    except ApiError:
        # It does not exist yet.
        return True


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for each in value.values():
                yield from _texts(each)
