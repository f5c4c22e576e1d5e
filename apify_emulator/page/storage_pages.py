"""The pages of datasets, key-value stores and request queues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apify_emulator.api.context import Context
from apify_emulator.page.markup import (
    Markup,
    block,
    facts,
    heading,
    link,
    pages,
    shortened,
    table,
)
from apify_emulator.refusals import record_not_found
from apify_emulator.storages.dataset import Dataset
from apify_emulator.storages.item_formats import cell_text, columns_of, flat
from apify_emulator.storages.key_value_store import KeyValueStore
from apify_emulator.storages.request_queue import RequestQueue
from apify_emulator.times import iso

_MOST_COLUMNS = 100
_LONGEST_VALUE = 200_000
_READABLE = ("text/", "application/json", "application/xml", "application/javascript")


def storage_list(context: Context) -> list[Markup]:
    """Returns the parts of the list of storages with names."""
    parts: list[Markup] = []
    for title, kind, collection in (
        ("Datasets", "datasets", context.datasets),
        ("Key-value stores", "key-value-stores", context.stores),
        ("Request queues", "request-queues", context.queues),
    ):
        found: Iterable[Any] = collection.listed(unnamed=False)
        rows = [
            (link(one.name, "storage", kind, one.id), iso(one.created_at), iso(one.modified_at))
            for one in found
        ]
        empty = "None has a name. The page of a run leads to its own."
        parts += [heading(title), table(("Name", "Created", "Modified"), rows, empty=empty)]
    return parts


def dataset_parts(dataset: Dataset, offset: int, limit: int) -> list[Markup]:
    """Returns the parts of the page of a dataset: its items as a table."""
    total = dataset.count
    stop = min(offset + limit, total)
    items = [item for block in dataset.blocks(offset, stop) for item in block]
    columns = columns_of([items])[:_MOST_COLUMNS]
    numbered = enumerate(map(flat, items), offset + 1)
    rows = (
        (number, *(shortened(cell_text(item.get(name))) for name in columns))
        for number, item in numbered
    )
    return [
        facts((("Name", dataset.name), ("Created", iso(dataset.created_at)))),
        table(("#", *columns), rows, empty="There are no items here."),
        pages(offset, limit, total),
    ]


def store_parts(store: KeyValueStore, offset: int, limit: int) -> list[Markup]:
    """Returns the parts of the page of a key-value store: its records."""
    records = store.records()
    rows = (
        (
            link(record.key, "storage", "key-value-stores", store.id, "records", record.key),
            record.content_type,
            f"{record.size} bytes",
        )
        for record in records[offset : offset + limit]
    )
    return [
        facts((("Name", store.name), ("Created", iso(store.created_at)))),
        table(("Key", "Content type", "Size"), rows, empty="There are no records."),
        pages(offset, limit, len(records)),
    ]


def record_parts(store: KeyValueStore, key: str) -> list[Markup]:
    """
    Returns the parts of the page of a record; its value is shown as text only.

    Raises:
        ApiError: there is no such record (404).
    """
    record = store.get(key)
    if record is None:
        raise record_not_found("Record")
    about = facts((("Content type", record.content_type), ("Size", f"{record.size} bytes")))
    if not record.content_type.startswith(_READABLE):
        return [about, block("The value is not a text.")]
    return [about, block(record.read()[:_LONGEST_VALUE].decode(errors="replace"))]


def queue_parts(queue: RequestQueue, offset: int, limit: int) -> list[Markup]:
    """Returns the parts of the page of a request queue: its requests."""
    requests = queue.listed(0, offset + limit, set())[offset:]
    rows = (
        (
            shortened(request.get("url")),
            request.get("method"),
            request.get("retryCount"),
            request.get("handledAt") or "pending",
        )
        for request in requests
    )
    return [
        facts((("Name", queue.name), ("Pending", queue.pending), ("Total", queue.total))),
        table(("URL", "Method", "Retries", "Handled"), rows, empty="There are no requests."),
        pages(offset, limit, queue.total),
    ]
