"""Named datasets that several runs fill: downloaded once for a batch, after its runs."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.app.batch.open_batch import OpenBatch
from orchestrator.collector.dataset import Datasets
from orchestrator.collector.other_datasets import FOLDER, shared_file
from orchestrator.errors import PermanentError, TruncatedBody
from orchestrator.event_log import LOG
from orchestrator.ledger.records import SharedDataset
from orchestrator.model.attempts import OtherDataset
from orchestrator.model.ids import DatasetId


async def collect_shared(batch: OpenBatch, *, patience_secs: float) -> None:
    """
    Downloads the named datasets that the jobs of a batch ask for into its folder `datasets/`.

    A dataset that is missing, or cannot be read, is a warning and not the outcome of a job.

    Args:
        patience_secs: how long to wait for a platform that is away.

    Raises:
        PlatformError: the platform stays away.
        DiskFull, OutputLost.
    """
    wanted = batch.reader.shared_datasets()
    if not wanted:
        return
    client = batch.client
    datasets = Datasets(client, batch.files, patience_secs=patience_secs, settled_after_secs=0.0)
    username = (await client.account.get()).username or ""
    # A job may want several of them: each adds to what is recorded of its attempt.
    recorded = {shared.seq: shared.datasets for shared in wanted.values()}
    for name, shared in wanted.items():
        try:
            reference = DatasetId(name if "~" in name else f"{username}~{name}")
            dataset_id = DatasetId((await client.storages.get_dataset(reference)).id)
            collected = await _collect(batch, datasets, name, dataset_id, shared)
        except (PermanentError, TruncatedBody) as error:
            LOG.warning("shared_dataset_not_collected", dataset=name, error=str(error))
            continue
        recorded[shared.seq] = others = tuple(
            collected if other.is_shared and other.name == name else other
            for other in recorded[shared.seq]
        )
        await batch.ledger.set_datasets(shared.seq, shared.number, others)


async def _collect(
    batch: OpenBatch, datasets: Datasets, name: str, dataset_id: DatasetId, shared: SharedDataset
) -> OtherDataset:
    file = shared_file(name, shared.query)
    items = await datasets.fetch_file(batch.folder / FOLDER, dataset_id, shared.query, name=file)
    LOG.info("shared_dataset_collected", dataset=name, items=items.items)
    return replace(
        OtherDataset(name=name),
        items=items.items,
        size_bytes=items.size_bytes,
        sha256=items.sha256,
    )
