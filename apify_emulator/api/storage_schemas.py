"""The schemas of a run's own storages: the views of a dataset, the collections of a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apify_emulator.actors.build_contents import definition
from apify_emulator.api.context import Context
from apify_emulator.refusals import ApiError
from apify_emulator.runs.run import Run
from apify_emulator.storages.dataset import Dataset
from apify_emulator.storages.key_value_store import KeyValueStore

_LISTS = ("fields", "omit", "unwind", "flatten")


def dataset_schema(context: Context, dataset: Dataset) -> dict[str, Any] | None:
    """Returns `storages.dataset` of the Actor whose run has this dataset as its own, or None."""
    run = context.runs.by_storage.get(dataset.id)
    if run is None or run.dataset_id != dataset.id:
        return None
    return _schema(context, run, "dataset")


def collection_of(context: Context, store: KeyValueStore, name: str) -> Callable[[str], bool]:
    """
    Returns whether a key belongs to a collection of `storages.keyValueStore` of the Actor.

    Raises:
        ApiError: the schema has no such collection (400).
    """
    run = context.runs.by_storage.get(store.id)
    schema = None if run is None else _schema(context, run, "keyValueStore")
    found, known = _entry(schema, "collections", name)
    if found is None:
        raise ApiError(
            400,
            "invalid-collection",
            f'The store has no collection "{name}"; storages.keyValueStore of its Actor has: '
            f"{known}",
        )
    if "key" in found:
        return lambda key: key == found["key"]
    return lambda key: key.startswith(str(found.get("keyPrefix", "")))


def transformation(context: Context, dataset: Dataset, view: str) -> dict[str, tuple[str, ...]]:
    """
    Returns the parameters of the items endpoint that a view of the schema stands for.

    Raises:
        ApiError: the schema has no such view (400).
    """
    found, known = _entry(dataset_schema(context, dataset), "views", view)
    if found is None:
        raise ApiError(
            400,
            "requested-dataset-view-does-not-exist",
            f'The dataset has no view "{view}"; storages.dataset of its Actor has: {known}',
        )
    rules = found.get("transformation")
    given = rules if isinstance(rules, dict) else {}
    return {
        name: tuple(str(field) for field in given[name])
        for name in _LISTS
        if isinstance(given.get(name), list)
    }


def _schema(context: Context, run: Run, kind: str) -> dict[str, Any] | None:
    actor = context.actors.by_id.get(run.actor_id)
    schema: dict[str, Any] | None = (
        None if actor is None else definition(actor).get("storages", {}).get(kind)
    )
    return schema


def _entry(
    schema: dict[str, Any] | None, field: str, name: str
) -> tuple[dict[str, Any] | None, str]:
    """Returns an entry of a table in a schema, or None, and the names that the table has."""
    table = (schema or {}).get(field)
    entries = table if isinstance(table, dict) else {}
    found = entries.get(name)
    return found if isinstance(found, dict) else None, ", ".join(entries) or "none"
