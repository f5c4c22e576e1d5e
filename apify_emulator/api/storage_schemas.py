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
    collections = (schema or {}).get("collections")
    found = collections.get(name) if isinstance(collections, dict) else None
    if not isinstance(found, dict):
        known = ", ".join(collections) if isinstance(collections, dict) and collections else "none"
        raise ApiError(
            400,
            "invalid-collection",
            f'The store has no collection "{name}"; storages.keyValueStore of its Actor has: '
            f"{known}",
        )
    if "key" in found:
        return lambda key: key == found["key"]
    return lambda key: key.startswith(str(found.get("keyPrefix", "")))


def _schema(context: Context, run: Run, kind: str) -> dict[str, Any] | None:
    actor = context.actors.by_id.get(run.actor_id)
    schema: dict[str, Any] | None = (
        None if actor is None else definition(actor).get("storages", {}).get(kind)
    )
    return schema


def transformation(context: Context, dataset: Dataset, view: str) -> dict[str, tuple[str, ...]]:
    """
    Returns the parameters of the items endpoint that a view of the schema stands for.

    Raises:
        ApiError: the schema has no such view (400).
    """
    views = (dataset_schema(context, dataset) or {}).get("views")
    found = views.get(view) if isinstance(views, dict) else None
    if not isinstance(found, dict):
        known = ", ".join(views) if isinstance(views, dict) and views else "none"
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
