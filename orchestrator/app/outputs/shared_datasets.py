"""Datasets with a name, which several runs fill: downloaded once for a batch, after its runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.apify import ApifyClient
from orchestrator.collector.dataset import Datasets
from orchestrator.collector.other_datasets import FOLDER
from orchestrator.errors import PermanentError, TruncatedBody
from orchestrator.event_log import LOG
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.ledger.records import SharedDataset
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.ids import DatasetId
from orchestrator.store.atomic_files import Files
from orchestrator.store.file_names import file_name


async def collect_shared(
    folder: Path,
    ledger: Ledger,
    reader: LedgerReader,
    client: ApifyClient,
    files: Files,
    *,
    patience_secs: float,
) -> None:
    """
    Downloads the named datasets that the jobs of a batch want into its folder `datasets/`.

    That a dataset is missing, or cannot be read, is a warning: it is not the outcome of a job.

    Raises:
        PlatformError: the platform stays away.
        DiskFull, OutputLost.
    """
    wanted = reader.shared_datasets()
    if not wanted:
        return
    datasets = Datasets(client, files, patience_secs=patience_secs, settled_after_secs=0.0)
    username = (await client.account.get()).username or ""
    for name, shared in wanted.items():
        try:
            collected = await _collect(folder, client, datasets, username, name, shared)
        except (PermanentError, TruncatedBody) as error:
            LOG.warning("shared_dataset_not_collected", dataset=name, error=str(error))
            continue
        others = tuple(
            collected if other.is_shared and other.name == name else other
            for other in shared.datasets
        )
        await ledger.set_datasets(shared.seq, shared.number, others)


async def _collect(
    folder: Path,
    client: ApifyClient,
    datasets: Datasets,
    username: str,
    name: str,
    shared: SharedDataset,
) -> OtherDataset:
    reference = DatasetId(name if "~" in name else f"{username}~{name}")
    dataset = await client.storages.get_dataset(reference)
    file = f"{file_name(name)}.{shared.query.format}"
    items = await datasets.fetch_file(
        folder / FOLDER, DatasetId(dataset.id), shared.query, name=file
    )
    LOG.info("shared_dataset_collected", dataset=name, items=items.items)
    return replace(
        OtherDataset(name=name),
        items=items.items,
        size_bytes=items.size_bytes,
        sha256=items.sha256,
    )
