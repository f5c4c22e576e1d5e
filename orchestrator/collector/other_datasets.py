"""The datasets that a run filled, except its default one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import orjson

from orchestrator.collector.items_file import ItemsFile
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.ids import DatasetId
from orchestrator.model.jobs import ItemsQuery
from orchestrator.store.atomic_files import Folder
from orchestrator.store.file_names import file_name, other_file_name

if TYPE_CHECKING:
    from orchestrator.collector.dataset import Datasets

FOLDER = "datasets"
DEFAULT = "default"
WILDCARDS = frozenset("*?[")


def aliases_of(run_json: bytes | None) -> dict[str, DatasetId]:
    """The datasets of a run by their aliases, without the default one."""
    if run_json is None:
        return {}
    # Imports aiohttp, which a command that only looks at files does not need.
    from orchestrator.apify import models

    run = models.Run(orjson.loads(run_json))
    storages = run.storage_ids
    found = (storages and storages.datasets) or {}
    own = found.get(DEFAULT), run.default_dataset_id
    return {alias: DatasetId(its_id) for alias, its_id in found.items() if its_id not in own}


def wanted_aliases(
    patterns: Iterable[str], aliases: Mapping[str, DatasetId]
) -> dict[str, DatasetId]:
    """The aliases that match a pattern."""
    patterns = tuple(patterns)
    return {
        alias: dataset_id
        for alias, dataset_id in aliases.items()
        if any(fnmatchcase(alias, pattern) for pattern in patterns)
    }


def shared_names(patterns: Iterable[str], aliases: Mapping[str, DatasetId]) -> Iterator[str]:
    """The names that are not aliases of the run: of datasets that runs share."""
    for name in patterns:
        if name not in aliases and not WILDCARDS.intersection(name):
            yield name


def shared_file(name: str, query: ItemsQuery) -> str:
    """The file of a dataset that runs share, in `datasets/` of the batch."""
    return f"{file_name(name)}.{query.format}"


async def collect_aliased(
    datasets: Datasets, folder: Folder, wanted: Mapping[str, DatasetId], query: ItemsQuery
) -> list[OtherDataset]:
    """
    Downloads datasets into the folder `datasets/` of a job, one after the other.

    Raises:
        As `Datasets.fetch`.
    """
    collected, taken = [], set[str]()
    for alias, dataset_id in sorted(wanted.items()):
        stem = file_name(alias)
        # Some file systems ignore case: the second file would replace the first.
        if stem.lower() in taken:
            stem = other_file_name(alias)
        taken.add(stem.lower())
        name = f"{stem}.{query.format}"
        items = await datasets.fetch_file(f"{folder}/{FOLDER}", dataset_id, query, name=name)
        collected.append(as_collected(alias, dataset_id, name, items))
    return collected


def as_collected(name: str, dataset_id: DatasetId, file: str, items: ItemsFile) -> OtherDataset:
    """What the ledger keeps of a dataset's file."""
    return OtherDataset(
        name=name,
        dataset_id=dataset_id,
        file=file,
        items=items.items,
        size_bytes=items.size_bytes,
        sha256=items.sha256,
        stored=items.stored,
        proof=None if items.proof is None else str(items.proof),
    )
