"""Request queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.api.context import Context
from apify_emulator.api.router import Handler, Router
from apify_emulator.api.storage_answers import listed, update_storage
from apify_emulator.http.answers import Answer, data, nothing
from apify_emulator.http.calls import Call
from apify_emulator.refusals import ApiError, invalid_input, invalid_parameter, record_not_found
from apify_emulator.storages.request_queue import FILTERS, RequestQueue, request_id
from apify_emulator.times import iso

_MAX_BATCH = 25
_MAX_LOCK_SECS = 24 * 3600


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "request-queues", list_all)
    router.add("POST", "request-queues", get_or_create)
    router.add("PUT", "request-queues/{queueId}", update)
    router.add("DELETE", "request-queues/{queueId}", delete)
    register_requests(router, "request-queues/{queueId}", lambda handler: handler)


def register_requests(router: Router, root: str, wrap: Callable[[Handler], Handler]) -> None:
    """Adds the endpoints of one queue below a root."""
    request = f"{root}/requests/{{requestId}}"
    for method, path, handler in (
        ("GET", root, get),
        ("GET", f"{root}/head", head),
        ("POST", f"{root}/head/lock", lock_head),
        ("GET", f"{root}/requests", list_requests),
        ("POST", f"{root}/requests", add),
        ("POST", f"{root}/requests/batch", add_batch),
        ("DELETE", f"{root}/requests/batch", delete_batch),
        ("POST", f"{root}/requests/unlock", unlock_all),
        ("GET", request, get_request),
        ("PUT", request, update_request),
        ("DELETE", request, delete_request),
        ("PUT", f"{request}/lock", prolong),
        ("DELETE", f"{request}/lock", unlock),
    ):
        router.add(method, path, wrap(handler))


def _find(context: Context, call: Call) -> RequestQueue:
    queue = context.queues.get(call.params["queueId"])
    queue.note_client(_client(call))
    return queue


def _client(call: Call) -> str | None:
    key = call.text("clientKey")
    if len(key) > 32:
        raise ApiError(400, "invalid-client-key", "clientKey must be 1 to 32 characters")
    return key or None


async def list_all(context: Context, call: Call) -> Answer:
    """Lists queues; those without a name only with `unnamed`."""
    page = call.page()
    unnamed = call.flag("unnamed")
    found = listed(call, context.queues)
    items = [{**_view(call, queue), "name": queue.name or queue.id} for queue in page.cut(found)]
    return data(page.envelope(len(found), items, unnamed=unnamed))


async def get_or_create(context: Context, call: Call) -> Answer:
    """Returns the queue of a name; creates it if it is missing."""
    queue, is_new = context.queues.get_or_create(call.text("name") or None, call.run_id)
    place = f"{call.base_url}/v2/request-queues/{queue.id}" if is_new else None
    return data(_view(call, queue), status=201 if is_new else 200, location=place)


async def get(context: Context, call: Call) -> Answer:
    """Returns a queue."""
    return data(_view(call, _find(context, call)))


async def update(context: Context, call: Call) -> Answer:
    """Changes a queue's name and who can read it."""
    body = await call.json_object()
    queue = _find(context, call)
    update_storage(context.queues, queue, body)
    return data(_view(call, queue))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a queue."""
    context.queues.delete(_find(context, call))
    return nothing()


async def head(context: Context, call: Call) -> Answer:
    """Returns the next requests."""
    queue = _find(context, call)
    limit = call.count("limit", 100, least=1, most=1000)
    return data(
        {
            "limit": limit,
            "queueModifiedAt": iso(queue.modified_at),
            "hadMultipleClients": queue.had_multiple_clients,
            "items": queue.head(limit),
        }
    )


async def lock_head(context: Context, call: Call) -> Answer:
    """Locks the next requests and returns them."""
    queue = _find(context, call)
    limit = call.count("limit", 25, least=1, most=25)
    lock_secs = _lock_secs(call)
    items = queue.lock_head(limit, lock_secs, _client(call))
    answer: dict[str, Any] = {
        "limit": limit,
        "queueModifiedAt": iso(queue.modified_at),
        "queueHasLockedRequests": queue.has_locks,
        "hadMultipleClients": queue.had_multiple_clients,
        "lockSecs": int(lock_secs),
        "items": items,
    }
    if _client(call):
        answer["clientKey"] = _client(call)
    return data(answer, status=201)


async def list_requests(context: Context, call: Call) -> Answer:
    """Lists requests, page by page."""
    queue = _find(context, call)
    limit = call.count("limit", 10_000, least=1, most=10_000)
    filters = set(call.names("filter"))
    if filters - FILTERS:
        raise invalid_parameter("filter", f"must be of {', '.join(sorted(FILTERS))}")
    found = queue.listed(_first_place(queue, call), limit + 1, filters)
    items = found[:limit]
    answer: dict[str, Any] = {"items": items, "count": len(items), "limit": limit}
    if len(found) > limit:
        answer["nextCursor"] = str(queue.place_of(items[-1]["id"]))
    if call.text("exclusiveStartId"):
        answer["exclusiveStartId"] = call.text("exclusiveStartId")
    return data(answer)


def _first_place(queue: RequestQueue, call: Call) -> int:
    """Returns the place that a page of the list comes after; 0 for the first page."""
    start_id = call.text("exclusiveStartId")
    if not start_id:
        return call.count("cursor", 0)
    place = queue.place_of(start_id)
    if place is None:
        raise invalid_parameter("exclusiveStartId", "is not the id of a request of this queue")
    return place


async def add(context: Context, call: Call) -> Answer:
    """Adds a request, unless it exists."""
    body = await call.json_object()
    added = _find(context, call).add(body, forefront=call.flag("forefront"))
    return data(added, status=201)


async def add_batch(context: Context, call: Call) -> Answer:
    """Adds up to 25 requests."""
    requests = await _batch(call)
    queue = _find(context, call)
    forefront = call.flag("forefront")
    added = [queue.add(request, forefront=forefront) for request in requests]
    return data({"processedRequests": added, "unprocessedRequests": []}, status=201)


async def delete_batch(context: Context, call: Call) -> Answer:
    """Deletes up to 25 requests, by id or by unique key."""
    requests = await _batch(call)
    queue = _find(context, call)
    done = []
    for request in requests:
        key = str(request.get("id") or request_id(str(request.get("uniqueKey"))))
        if queue.remove(key):
            done.append({**request, "id": key})
    return data({"processedRequests": done, "unprocessedRequests": []})


async def unlock_all(context: Context, call: Call) -> Answer:
    """Unlocks all requests of a client."""
    return data({"unlockedCount": _find(context, call).unlock_all(_client(call))})


async def get_request(context: Context, call: Call) -> Answer:
    """Returns a request."""
    request = _find(context, call).get(call.params["requestId"])
    if request is None:
        raise record_not_found("Request")
    return data(request)


async def update_request(context: Context, call: Call) -> Answer:
    """Replaces a request."""
    body = await call.json_object()
    queue = _find(context, call)
    return data(queue.update(call.params["requestId"], body, forefront=call.flag("forefront")))


async def delete_request(context: Context, call: Call) -> Answer:
    """Deletes a request."""
    if not _find(context, call).remove(call.params["requestId"]):
        raise record_not_found("Request")
    return nothing()


async def prolong(context: Context, call: Call) -> Answer:
    """Extends the lock of a request."""
    queue = _find(context, call)
    key = _known(queue, call)
    lock_secs = _lock_secs(call)
    return data(queue.prolong(key, lock_secs, _client(call), forefront=call.flag("forefront")))


async def unlock(context: Context, call: Call) -> Answer:
    """Unlocks a request."""
    queue = _find(context, call)
    queue.unlock(_known(queue, call), _client(call), forefront=call.flag("forefront"))
    return nothing()


def _known(queue: RequestQueue, call: Call) -> str:
    key = call.params["requestId"]
    if queue.get(key) is None:
        raise record_not_found("Request")
    return key


def _lock_secs(call: Call) -> float:
    seconds = call.number("lockSecs")
    if seconds is None or not 0 < seconds <= _MAX_LOCK_SECS:
        raise invalid_parameter("lockSecs", f"must be above 0, at most {_MAX_LOCK_SECS}")
    return seconds


async def _batch(call: Call) -> list[dict[str, Any]]:
    body = await call.json()
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        raise invalid_input("The body must be an array of requests")
    if len(body) > _MAX_BATCH:
        raise invalid_input(f"A batch has at most {_MAX_BATCH} requests")
    return body


def _view(call: Call, queue: RequestQueue) -> dict[str, Any]:
    return {
        "id": queue.id,
        "name": queue.name,
        "userId": USER_ID,
        "username": USERNAME,
        "actId": queue.actor_id,
        "actRunId": queue.run_id,
        "createdAt": iso(queue.created_at),
        "modifiedAt": iso(queue.modified_at),
        "accessedAt": iso(queue.accessed_at),
        "totalRequestCount": queue.total,
        "handledRequestCount": queue.total - queue.pending,
        "pendingRequestCount": queue.pending,
        "hadMultipleClients": queue.had_multiple_clients,
        "consoleUrl": f"{call.base_url}/storage/request-queues/{queue.id}",
        "generalAccess": queue.general_access,
        "stats": {
            "deleteCount": queue.deletes,
            "headItemReadCount": queue.head_reads,
            "readCount": queue.reads,
            "storageBytes": queue.size_bytes,
            "writeCount": queue.writes,
        },
    }
