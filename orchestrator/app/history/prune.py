"""Removes old batches; never one that a process holds or that is not at its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.batch_folders import LEDGER, batches, mend_latest, newest
from orchestrator.app.outputs.verification import verify
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import BatchHeld, UsageError
from orchestrator.ledger import BatchLock, LedgerReader
from orchestrator.model.batches import BatchState
from orchestrator.model.ids import BatchName, DatasetId, StoreId
from orchestrator.model.selection import Selection

AT_ONCE = 16
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """
    A batch that may be removed, or why it may not.

    Attributes:
        kept_since: why it is kept although it is old; None when it may be removed.
    """

    folder: Path
    kept_since: str | None = None


def old_batches(
    home: Path, *, keep_last: int, keep_days: float | None, now: datetime
) -> Iterator[Old]:
    """
    The batches of a name beyond the last ones, and beyond so many days, newest first.

    Args:
        home: the folder of the name.
        keep_last: so many of the newest are kept, whatever their age.
        keep_days: younger ones are kept; None for no such bound.
    """
    for number, folder in enumerate(batches(home), start=1):
        if number <= keep_last:
            continue
        try:
            with LedgerReader(folder / LEDGER) as reader:
                batch = reader.batch()
        except UsageError as error:
            yield Old(folder=folder, kept_since=f"its ledger cannot be read: {error}")
            continue
        ended_at = batch.ended_at or batch.created_at
        if keep_days is not None and now - ended_at < timedelta(days=keep_days):
            continue
        is_over = batch.state is BatchState.ENDED
        yield Old(folder=folder, kept_since=None if is_over else "it is not at its end")


async def delete_storages(folder: Path, context: BatchContext) -> int:
    """
    Deletes what the runs of a batch hold on the platform, once all of it is known to be on disk.

    Returns:
        how many runs had their storages deleted.

    Raises:
        UsageError: some job is not on disk as it was collected, or may not be all that the
            platform holds; nothing is deleted.
        PlatformError: not all could be deleted; it may be tried again.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    runs = _proven_runs(folder)
    turns = anyio.Semaphore(AT_ONCE)

    async def delete(client: ApifyClient, dataset_id: str | None, store_id: str | None) -> None:
        async with turns:
            if dataset_id:
                await client.storages.delete_dataset(DatasetId(dataset_id))
            if store_id:
                await client.storages.delete_store(StoreId(store_id))

    async with (
        connected_client(batch.plan.local, context) as client,
        anyio.create_task_group() as deletions,
    ):
        for dataset_id, store_id in runs:
            deletions.start_soon(delete, client, dataset_id, store_id, name=f"{dataset_id}")
    return len(runs)


def _proven_runs(folder: Path) -> list[tuple[str | None, str | None]]:
    """
    The dataset and the key-value store of each run of a batch, if all of them are on disk.

    Raises:
        UsageError: as `delete_storages`.
    """
    checked = list(verify(folder, Selection()))
    wrong = [report.job.key for report, problems in checked if problems]
    if wrong:
        raise UsageError(f"{', '.join(wrong[:SHOWN])}: not on disk as it was collected")
    unproven = [
        report.job.key
        for report, _ in checked
        if report.sha256 is not None and report.proof is None
    ]
    if unproven:
        raise UsageError(
            f"{', '.join(unproven[:SHOWN])}: not proven to be all that the platform holds; "
            "`orchestrator collect` asks it again"
        )
    with LedgerReader(folder / LEDGER) as reader:
        return [
            (report.dataset_id, report.store_id)
            for report in reader.reports()
            # Reused results belong to the batch that collected them.
            if report.sha256 is not None and report.reused_from is None
        ]


def remove(folder: Path) -> None:
    """
    Removes a batch; another command sees the whole of it, or nothing.

    Raises:
        BatchHeld: a process is at it; it is left alone.
    """
    with BatchLock(folder, "prune"):
        gone = folder.parent / f".{folder.name}.gone"
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    following = newest(folder.parent)
    if following is not None:
        mend_latest(following, BatchName(folder.parent.name))
    else:
        (folder.parent / "latest").unlink(missing_ok=True)


def remove_remains(home: Path) -> None:
    """Removes what killed preparations and removals of this name left behind."""
    for path in home.glob(".*"):
        if path.suffix not in (".new", ".gone") or not path.is_dir():
            continue
        try:
            with BatchLock(path, "prune"):
                pass
        except BatchHeld:
            continue
        shutil.rmtree(path, ignore_errors=True)
