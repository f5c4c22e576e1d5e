"""Removes old batches; never one that a process holds, that was interrupted or lacks data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anyio

from orchestrator.apify import ApifyClient
from orchestrator.app.account.batch_account import check_account
from orchestrator.app.batch_folders import (
    LEDGER,
    Found,
    display,
    newest,
    point_latest,
    survey,
)
from orchestrator.app.latest_link import LATEST
from orchestrator.app.outputs.verification import verify
from orchestrator.app.setup.context import BatchContext, connected_client
from orchestrator.errors import BatchHeld, OrchestratorError, UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import BatchLock, LedgerReader
from orchestrator.ledger.stores import discard
from orchestrator.model.batches import Batch, BatchState, Retention, Series
from orchestrator.model.ids import BatchName, DatasetId, StoreId
from orchestrator.model.schedule import EARLY
from orchestrator.model.selection import Selection
from orchestrator.pasted_command import pasted_command

AT_ONCE = 16
SHOWN = 5
SECS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """
    A batch that may be removed, or why it may not.

    Attributes:
        kept_because: why it is kept although it is old; None if it may be removed.
        is_deleted: whether another machine has deleted it; only its files here are left.
    """

    folder: Path
    kept_because: str | None = None
    is_deleted: bool = False


def old_batches(
    home: Path, keep: Retention, *, now: datetime, series: Series | None = None
) -> Iterator[Old]:
    """
    The batches of a name that are not among the newest of their series and are old enough.

    The newest comes first. A batch that was interrupted, or has data that is not on disk, is kept.
    Batches that another machine has deleted follow, of any age and series.

    Args:
        home: the folder of the name.
        series: only batches of this series; None for all.
    """
    counts: list[tuple[Series, list[Path]]] = []
    known = survey(home)
    for found in known.found:
        own = found.batch.series
        if series is not None and not series.agrees(own):
            continue
        newer = next((folders for other, folders in counts if other.agrees(own)), None)
        if newer is None:
            newer = []
            counts.append((own, newer))
        # A wrong clock must not make a batch the newest: the true newest would be removed.
        if found.batch.is_after(now + EARLY):
            continue
        newer.append(found.folder)
        if len(newer) > (keep.keep_last or 0) and _is_old(found.batch, keep, now):
            yield Old(folder=found.folder, kept_because=_reason_to_keep(found))
    yield from (Old(folder=folder, is_deleted=True) for folder in known.deleted)


def _is_old(batch: Batch, keep: Retention, now: datetime) -> bool:
    ended_at = batch.ended_at or batch.created_at
    # Seconds, because a `timedelta` holds fewer days than a spec may name.
    age_days = (now - ended_at).total_seconds() / SECS_PER_DAY
    return keep.keep_days is None or age_days >= keep.keep_days


def _reason_to_keep(found: Found) -> str | None:
    """Why an old batch must not be removed."""
    batch, shown = found.batch, display(found.folder)
    if not batch.is_done:
        return "it has not ended"
    try:
        with LedgerReader(found.folder / LEDGER) as reader:
            uncollected = reader.totals().uncollected
    except UsageError as error:
        return f"its ledger cannot be read: {error}"
    if uncollected is not None:
        return (
            f"the data of {uncollected.runs} runs is not on disk; "
            f"`{pasted_command('collect', shown)}` downloads it"
        )
    if batch.plan.remote is not None and batch.completed_at is None:
        return f"its files are not uploaded; `{pasted_command('resume', shown)}` uploads them"
    return None


def prune_series(folder: Path, batch: Batch, now: datetime) -> None:
    """
    Removes the old batches of a series, as `[retention]` of a batch that has just ended says.

    It never raises: the batch that has ended keeps its result.

    Args:
        folder: of the batch that has ended; it stays.
    """
    keep = batch.plan.retention
    if keep is None or batch.state is not BatchState.ENDED or batch.completed_at is None:
        return
    try:
        for old in old_batches(folder.parent, keep, now=now, series=batch.series):
            if old.folder != folder:
                _remove_or_log(old)
        remove_leftovers(folder.parent)
    except (OrchestratorError, OSError) as error:
        LOG.warning("batches_not_pruned", reason=str(error))


def _remove_or_log(old: Old) -> None:
    reason = old.kept_because
    try:
        if reason is None:
            remove(old.folder)
            LOG.info("batch_pruned", batch=old.folder.name)
            return
    except BatchHeld:
        reason = "a process holds it"
    LOG.info("batch_not_pruned", batch=old.folder.name, reason=reason)


def size_of(folder: Path) -> int:
    """How many bytes the files of a batch have together."""
    sizes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                sizes += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - many files
    return sizes


async def delete_storages(folder: Path, context: BatchContext) -> int:
    """
    Deletes the storages of a batch's runs on the platform, if all their data is on disk.

    Returns:
        how many runs had their storages deleted.

    Raises:
        UsageError: the files of some job differ from what was collected, the platform may hold
            more, or the token belongs to another account; nothing is deleted.
        PlatformError: not all could be deleted; the call may be repeated.
    """
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    runs = _proven_runs(folder)
    await check_account(folder, batch, context)
    turns = anyio.Semaphore(AT_ONCE)

    async def delete(client: ApifyClient, dataset_id: str | None, store_id: str | None) -> None:
        async with turns:
            if dataset_id:
                await client.storages.delete_dataset(DatasetId(dataset_id))
            if store_id:
                await client.storages.delete_store(StoreId(store_id))

    async with (
        connected_client(
            batch.plan.local, context, away_secs=context.settings.platform_away_secs
        ) as client,
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
            f"`{pasted_command('collect', display(folder))}` checks it again"
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
        # A ledger in PostgreSQL: else every machine would make a folder for it again.
        discard(gone / LEDGER)
        # A command of this machine may have made one while the server still had the ledger.
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(gone, ignore_errors=True)
    following = newest(folder.parent)
    if following is not None:
        point_latest(following, BatchName(folder.parent.name))
    else:
        (folder.parent / LATEST).unlink(missing_ok=True)


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
