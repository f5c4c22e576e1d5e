"""Datasets and their items."""

from __future__ import annotations

from typing import Any

from apify_emulator.account import USER_ID, USERNAME
from apify_emulator.api.context import Context
from apify_emulator.api.item_page import items_answer
from apify_emulator.api.router import Router
from apify_emulator.api.storage_answers import listed, signed, update_storage
from apify_emulator.api.storage_schemas import dataset_schema
from apify_emulator.http.answers import Answer, data, nothing, plain
from apify_emulator.http.calls import Call
from apify_emulator.refusals import invalid_input
from apify_emulator.storages.dataset import Dataset
from apify_emulator.times import iso


def register(router: Router) -> None:
    """Adds these endpoints."""
    router.add("GET", "datasets", list_all)
    router.add("POST", "datasets", get_or_create)
    router.add("GET", "datasets/{datasetId}", get, is_public=True)
    router.add("PUT", "datasets/{datasetId}", update)
    router.add("DELETE", "datasets/{datasetId}", delete)
    router.add("GET", "datasets/{datasetId}/items", get_items, is_public=True)
    router.add("POST", "datasets/{datasetId}/items", push)
    router.add("GET", "datasets/{datasetId}/statistics", statistics)


def _find(context: Context, call: Call) -> Dataset:
    return context.datasets.get(call.params["datasetId"])


async def list_all(context: Context, call: Call) -> Answer:
    """Lists datasets; those without a name only with `unnamed`."""
    page = call.page()
    unnamed = call.flag("unnamed")
    found = listed(call, context.datasets)
    items = [_brief(context, dataset) for dataset in page.cut(found)]
    return data(page.envelope(len(found), items, unnamed=unnamed))


async def get_or_create(context: Context, call: Call) -> Answer:
    """Returns the dataset of a name; creates it if it is missing."""
    dataset, is_new = context.datasets.get_or_create(call.text("name") or None, call.run_id)
    place = f"{call.base_url}/v2/datasets/{dataset.id}" if is_new else None
    return data(_view(context, call, dataset), status=201 if is_new else 200, location=place)


async def get(context: Context, call: Call) -> Answer:
    """Returns a dataset."""
    return data(_view(context, call, _find(context, call)))


async def update(context: Context, call: Call) -> Answer:
    """Changes a dataset's name and who can read it."""
    body = await call.json_object()
    dataset = _find(context, call)
    update_storage(context.datasets, dataset, body)
    return data(_view(context, call, dataset))


async def delete(context: Context, call: Call) -> Answer:
    """Deletes a dataset."""
    context.datasets.delete(_find(context, call))
    return nothing()


async def get_items(context: Context, call: Call) -> Answer:
    """Returns items in the requested format."""
    dataset = _find(context, call)
    dataset.reads += 1
    return items_answer(context, call, dataset)


async def push(context: Context, call: Call) -> Answer:
    """Adds an item or an array of items; all or none."""
    body = await call.json()
    # After the await, so that no other push comes between the look-up and the write.
    dataset = _find(context, call)
    items = body if isinstance(body, list) else [body]
    if not all(isinstance(item, dict) for item in items):
        raise invalid_input("Items must be JSON objects")
    if items:
        dataset.append(items)
        context.datasets.keep(dataset)
        owner = context.runs.by_storage.get(dataset.id)
        if owner is not None and owner.pricing is not None and owner.dataset_id == dataset.id:
            context.lifecycle.count_items(owner, len(items))
    answer = plain({}, status=201)
    answer.headers["Location"] = f"{call.base_url}/v2/datasets/{dataset.id}/items"
    return answer


async def statistics(context: Context, call: Call) -> Answer:
    """Returns empty statistics of fields, because the emulator keeps none."""
    _find(context, call)
    return data({"fieldStatistics": None})


def _brief(context: Context, dataset: Dataset) -> dict[str, Any]:
    count, clean_count = dataset.shown_counts(context.faults.faults.count_lag_secs)
    return {
        "id": dataset.id,
        # The description requires a name in lists, so Apify shows the id of unnamed datasets.
        "name": dataset.name or dataset.id,
        "userId": USER_ID,
        "username": USERNAME,
        "createdAt": iso(dataset.created_at),
        "modifiedAt": iso(dataset.modified_at),
        "accessedAt": iso(dataset.accessed_at),
        "itemCount": count,
        "cleanItemCount": clean_count,
        "actId": dataset.actor_id,
        "actRunId": dataset.run_id,
        "generalAccess": dataset.general_access,
        "stats": {
            "readCount": dataset.reads,
            "writeCount": dataset.writes,
            "storageBytes": dataset.size_bytes,
            "inflatedBytes": dataset.size_bytes,
        },
    }


def _view(context: Context, call: Call, dataset: Dataset) -> dict[str, Any]:
    place = f"{call.base_url}/v2/datasets/{dataset.id}"
    return {
        **_brief(context, dataset),
        "name": dataset.name,
        "fields": None,
        "schema": dataset_schema(context, dataset),
        "consoleUrl": f"{call.base_url}/storage/datasets/{dataset.id}",
        **signed(context, call, dataset.id, itemsPublicUrl=f"{place}/items"),
    }
