"""Removes old batches; never one that a process holds or that has not ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.batch_folders import LEDGER, batches, newest, point_latest
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
        kept_because: why it is kept although it is old; None if it may be removed.
    """

    folder: Path
    kept_because: str | None = None


def old_batches(
    home: Path, *, keep_last: int, keep_days: float | None, now: datetime
) -> Iterator[Old]:
    """
    The batches of a name that are not among the newest and are old enough, the newest first.

    Args:
        home: the folder of the name.
        keep_last: how many of the newest are kept, at any age.
        keep_days: the age in days up to which batches are kept; None for no such limit.
    """
    for number, folder in enumerate(batches(home), start=1):
        if number <= keep_last:
            continue
        try:
            with LedgerReader(folder / LEDGER) as reader:
                batch = reader.batch()
        except UsageError as error:
            yield Old(folder=folder, kept_because=f"its ledger cannot be read: {error}")
            continue
        ended_at = batch.ended_at or batch.created_at
        if keep_days is not None and now - ended_at < timedelta(days=keep_days):
            continue
        is_over = batch.state is BatchState.ENDED
        yield Old(folder=folder, kept_because=None if is_over else "it has not ended")


async def delete_storages(folder: Path, context: BatchContext) -> int:
    """
    Deletes the storages of a batch's runs on the platform, if all their data is on disk.

    Returns:
        how many runs had their storages deleted.

    Raises:
        UsageError: the files of some job differ from what was collected, or the platform may hold
            more; nothing is deleted.
        PlatformError: not all could be deleted; the call may be repeated.
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
        raise UsageError(
            f"{', '.join(wrong[:SHOWN])}: the files on disk differ from what was collected"
        )
    unproven = [
        report.job.key
        for report, _ in checked
        if report.sha256 is not None and report.proof is None
    ]
    if unproven:
        raise UsageError(
            f"{', '.join(unproven[:SHOWN])}: the platform may hold more than is on disk; "
            "`orchestrator collect` checks it again"
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
    Removes a batch; another command sees either the whole batch or nothing.

    Raises:
        BatchHeld: a process holds it; it is not removed.
    """
    with BatchLock(folder, "prune"):
        gone = folder.parent / f".{folder.name}.gone"
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    following = newest(folder.parent)
    if following is not None:
        point_latest(following, BatchName(folder.parent.name))
    else:
        (folder.parent / "latest").unlink(missing_ok=True)


def remove_leftovers(home: Path) -> None:
    """Removes the hidden folders of killed preparations and removals of this name."""
    for path in home.glob(".*"):
        if path.suffix not in (".new", ".gone") or not path.is_dir():
            continue
        try:
            with BatchLock(path, "prune"):
                pass
        except BatchHeld:
            continue
        shutil.rmtree(path, ignore_errors=True)
