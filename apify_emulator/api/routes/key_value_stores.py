"""Key-value stores and their records."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.api.context import Context
from apify_emulator.api.router import Router
from apify_emulator.api.storage_answers import (
    listed,
    signed,
    signed_record_url,
    update_storage,
)
from apify_emulator.api.storage_schemas import collection_of
from apify_emulator.http.answers import Answer, data, nothing, plain
from apify_emulator.http.calls import Call
from apify_emulator.refusals import record_not_found
from apify_emulator.storages.key_value_store import KeyValueStore, Record, check_key
from apify_emulator.storages.record_archive import zipped
from apify_emulator.times import iso

_DEFAULT_TYPE = "application/octet-stream"


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "key-value-stores", list_all)
    router.add("POST", "key-value-stores", get_or_create)
    router.add("GET", "key-value-stores/{storeId}", get, is_public=True)
    router.add("PUT", "key-value-stores/{storeId}", update)
    router.add("DELETE", "key-value-stores/{storeId}", delete)
    router.add("GET", "key-value-stores/{storeId}/records", get_all, is_public=True)
    router.add("GET", "key-value-stores/{storeId}/keys", list_keys, is_public=True)
    record = "key-value-stores/{storeId}/records/{recordKey}"
    router.add("GET", record, get_record, is_public=True)
    router.add("HEAD", record, has_record, is_public=True)
    router.add("PUT", record, put_record)
    router.add("POST", record, put_record)
    router.add("DELETE", record, delete_record)


def _find(context: Context, call: Call) -> KeyValueStore:
    return context.stores.get(call.params["storeId"])


async def list_all(context: Context, call: Call) -> Answer:
    """Lists stores; those without a name only with `unnamed`."""
    page = call.page()
    unnamed = call.flag("unnamed")
    found = listed(call, context.stores)
    items = [
        {**_view(context, call, store), "name": store.name or store.id} for store in page.cut(found)
    ]
    return data(page.envelope(len(found), items, unnamed=unnamed))


async def get_or_create(context: Context, call: Call) -> Answer:
    """Returns the store of a name; creates it if it is missing."""
    store, is_new = context.stores.get_or_create(call.text("name") or None, call.run_id)
    place = f"{call.base_url}/v2/key-value-stores/{store.id}" if is_new else None
    return data(_view(context, call, store), status=201 if is_new else 200, location=place)


async def get(context: Context, call: Call) -> Answer:
    """Returns a store."""
    return data(_view(context, call, _find(context, call)))


async def update(context: Context, call: Call) -> Answer:
    """Changes a store's name and who can read it."""
    body = await call.json_object()
    store = _find(context, call)
    update_storage(context.stores, store, body)
    return data(_view(context, call, store))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a store with its records."""
    context.stores.delete(_find(context, call))
    return nothing()


async def list_keys(context: Context, call: Call) -> Answer:
    """Lists keys in binary order, page by page."""
    store = _find(context, call)
    store.lists += 1
    limit = call.count("limit", 1000, least=1, most=1000)
    after = call.text("exclusiveStartKey")
    found = [
        record for record in _matching(context, call, store) if record.key.encode() > after.encode()
    ]
    page = found[:limit]
    is_cut = len(found) > limit
    return data(
        {
            "items": [_key_view(context, call, store, record) for record in page],
            "count": len(page),
            "limit": limit,
            "exclusiveStartKey": after or None,
            "isTruncated": is_cut,
            "nextExclusiveStartKey": page[-1].key if is_cut else None,
        }
    )


def _matching(context: Context, call: Call, store: KeyValueStore) -> list[Record]:
    """Returns the records of the prefix and the collection that the request names."""
    prefix, collection = call.text("prefix"), call.text("collection")
    belongs = collection_of(context, store, collection) if collection else lambda _: True
    return [
        record
        for record in store.records()
        if record.key.startswith(prefix) and belongs(record.key)
    ]


async def get_all(context: Context, call: Call) -> Answer:
    """Returns all records, or those of a prefix or a collection, as a zip archive."""
    store = _find(context, call)
    store.reads += 1
    answer = Answer(body=zipped(_matching(context, call, store)), content_type="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{store.id}.zip"'
    return answer


async def get_record(context: Context, call: Call) -> Answer:
    """Returns a record as it was stored."""
    record = _record(context, call)
    answer = Answer(body=record.read(), content_type=record.content_type, may_compress=True)
    if call.flag("attachment"):
        answer.headers["Content-Disposition"] = "attachment"
    return answer


async def has_record(context: Context, call: Call) -> Answer:
    """Answers whether a record exists."""
    return Answer(content_type=_record(context, call).content_type)


async def put_record(context: Context, call: Call) -> Answer:
    """Writes a record."""
    body = await call.body()
    store, key = _find(context, call), check_key(call.params["recordKey"])
    store.put(key, body, call.content_type or _DEFAULT_TYPE)
    context.stores.keep(store)
    answer = plain({}, status=201)
    answer.headers["Location"] = _record_url(call, store, key)
    return answer


async def delete_record(context: Context, call: Call) -> Answer:
    """Deletes a record, if it exists."""
    _find(context, call).remove(check_key(call.params["recordKey"]))
    return nothing()


def _record(context: Context, call: Call) -> Record:
    store = _find(context, call)
    store.reads += 1
    record = store.get(check_key(call.params["recordKey"]))
    if record is None:
        raise record_not_found("Record")
    return record


def _record_url(call: Call, store: KeyValueStore, key: str) -> str:
    return f"{call.base_url}/v2/key-value-stores/{store.id}/records/{quote(key, safe='')}"


def _key_view(context: Context, call: Call, store: KeyValueStore, record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "size": record.size,
        "recordPublicUrl": signed_record_url(
            context, store.id, record.key, _record_url(call, store, record.key)
        ),
    }


def _view(context: Context, call: Call, store: KeyValueStore) -> dict[str, Any]:
    place = f"{call.base_url}/v2/key-value-stores/{store.id}"
    return {
        "id": store.id,
        "name": store.name,
        "userId": USER_ID,
        "username": USERNAME,
        "createdAt": iso(store.created_at),
        "modifiedAt": iso(store.modified_at),
        "accessedAt": iso(store.accessed_at),
        "actId": store.actor_id,
        "actRunId": store.run_id,
        "consoleUrl": f"{call.base_url}/storage/key-value-stores/{store.id}",
        **signed(context, call, store.id, keysPublicUrl=f"{place}/keys"),
        "recordsPublicUrl": f"{place}/records",
        "generalAccess": store.general_access,
        "stats": {
            "readCount": store.reads,
            "writeCount": store.writes,
            "deleteCount": store.deletes,
            "listCount": store.lists,
            "storageBytes": store.size_bytes,
        },
    }
