"""The schema of a run's dataset, and the views in it."""

from __future__ import annotations

from typing import Any

from apify_emulator.actors.build_contents import definition
from apify_emulator.api.context import Context
from apify_emulator.refusals import ApiError
from apify_emulator.storages.dataset import Dataset

_LISTS = ("fields", "omit", "unwind", "flatten")


def dataset_schema(context: Context, dataset: Dataset) -> dict[str, Any] | None:
    """Returns `storages.dataset` of the Actor whose run has this dataset as its own, or None."""
    run = context.runs.by_storage.get(dataset.id)
    actor = None if run is None else context.actors.by_id.get(run.actor_id)
    if run is None or actor is None or run.dataset_id != dataset.id:
        return None
    schema: dict[str, Any] | None = definition(actor).get("storages", {}).get("dataset")
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
