"""
The items of all jobs of a batch as one table in `results/`.

Only jobs that succeeded are in it. The folder appears in one step, or does not change.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from anyio import from_thread, to_thread

from orchestrator.app.batch_folders import LEDGER, Found
from orchestrator.app.history.series import earlier_batches
from orchestrator.app.outputs.item_files import sources_of
from orchestrator.errors import UsageError
from orchestrator.event_log import LOG
from orchestrator.ledger import Ledger, LedgerReader
from orchestrator.model.batches import Batch, ResultsPlan
from orchestrator.results.distinct_keys import Seen, seen_by
from orchestrator.results.item_source import NotMerged
from orchestrator.results.known_keys import remember
from orchestrator.results.table import write_table
from orchestrator.results.table_writer import COLUMNS, REJECTS, Table
from orchestrator.store.disk_writes import flush_path, rename_folder

SEEN = ".seen"


async def merged(folder: Path, batch: Batch, closer: Ledger | None = None) -> Batch:
    """
    Merges the results of a batch if its spec asks for that; the exit code shows a failure.

    Args:
        closer: of the process that closes a shared batch, and that may have been paused.

    Raises:
        LeaseLost: another process closes the batch.
    """

    async def check_closer() -> None:
        if closer is not None:
            await closer.check_owner()

    plan = batch.plan.results
    if plan is None:
        return batch
    try:
        table = await to_thread.run_sync(
            merge_results, folder, plan, partial(from_thread.run, check_closer)
        )
    except NotMerged as error:
        LOG.warning("results_not_merged", error=str(error))
        return replace(batch, exit_code=max(batch.exit_code or 0, error.exit_code))
    warn_of_table(table, kept_in=f"results/{REJECTS}")
    LOG.info("results_merged", rows=table.rows)
    return batch


def warn_of_table(table: Table, *, kept_in: str) -> None:
    """
    Warns of columns and items that the user asked for and that are not in the table.

    Args:
        kept_in: the file with the items that are not in the table.
    """
    for name in table.lacking:
        LOG.warning("results_column_missing", column=name)
    if table.rejected:
        LOG.warning(
            "items_not_in_results",
            items=table.rejected,
            kept_in=kept_in,
            first="; ".join(table.rejects),
        )


def merge_results(
    folder: Path, plan: ResultsPlan, confirm: Callable[[], object] | None = None
) -> Table:
    """
    Merges the items of a batch, in the caller's thread.

    Args:
        confirm: called before the results are published.

    Raises:
        NotMerged: a library is missing, or files are not as they were collected.
    """
    try:
        with ExitStack() as stack:
            part = stack.enter_context(_own_part(folder))
            with ExitStack() as history:
                seen = history.enter_context(seen_before(folder, plan)) if plan.new_only else None
                table = write_table(partial(sources_of, folder), plan, part, seen=seen)
            if confirm is not None:
                confirm()
            _publish(part, folder / "results")
    except OSError as error:
        raise NotMerged(
            f"results could not be written ({error.strerror or error}); correct that, then run "
            "orchestrator collect to write them"
        ) from error
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOnDisk:
    """
    The table of a batch that is on disk.

    Attributes:
        path: its file, or its folder if it is partitioned.
    """

    path: Path
    rows: int


def table_on_disk(folder: Path) -> TableOnDisk | None:
    """The merged results of a batch; None if there are none."""
    results = folder / "results"
    try:
        facts = json.loads((results / COLUMNS).read_bytes())
        file = results / f"items.{facts['format']}"
        return TableOnDisk(path=file if file.exists() else results, rows=int(facts["rows"]))
    except (OSError, ValueError, LookupError):
        return None


@contextmanager
def seen_before(folder: Path, plan: ResultsPlan) -> Iterator[Seen]:
    """The keys of all earlier batches of a batch's series; at the end, its own are recorded."""
    with LedgerReader(folder / LEDGER) as reader:
        batch = reader.batch()
    with seen_by(folder.parent / SEEN / batch.series.id) as seen:
        for earlier in earlier_batches(folder, batch):
            _remember(earlier, plan, seen)
        yield seen
        seen.add_batch(batch.id, plan.unique)


def _remember(earlier: Found, plan: ResultsPlan, seen: Seen) -> None:
    """Records the keys of an earlier batch, unless its merge has."""
    batch = earlier.batch
    # A batch that was retried or resumed after its merge has new items until the next one.
    is_merged = batch.completed_at is not None
    try:
        if not (is_merged and seen.has_batch(batch.id, plan.unique)):
            remember(partial(sources_of, earlier.folder), plan.unique, seen)
            if is_merged:
                seen.add_batch(batch.id, plan.unique)
    except (UsageError, NotMerged) as error:
        # This batch is merged even if an earlier one cannot be read.
        LOG.warning("history_not_read", batch=str(earlier.folder), error=str(error))


@contextmanager
def _own_part(folder: Path) -> Iterator[Path]:
    """
    A new folder of this process; those that killed processes have left are removed.

    A process that was silent for too long may still merge when another one does so in its place.
    """
    for mark in folder.glob(".results.*.lock"):
        with suppress(OSError), _locked(mark, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove(mark)
    mark = folder / f".results.{secrets.token_hex(4)}.lock"
    with _locked(mark, fcntl.LOCK_EX):
        part = mark.with_suffix(".new")
        part.mkdir()
        try:
            yield part
        finally:
            _remove(mark)


@contextmanager
def _locked(mark: Path, kind: int) -> Iterator[None]:
    """Locks a file; the system releases it when the process dies."""
    handle = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)


def _remove(mark: Path) -> None:
    """Removes what is left of a merge."""
    for suffix in (".new", ".old"):
        shutil.rmtree(mark.with_suffix(suffix), ignore_errors=True)
    mark.unlink(missing_ok=True)


def _publish(part: Path, results: Path) -> None:
    """Flushes the new results and gives them their name; removes the old ones."""
    for path in [*part.rglob("*"), part]:
        flush_path(path)
    old = part.with_suffix(".old")
    while True:
        with suppress(FileNotFoundError):
            results.rename(old)
        if rename_folder(part, results):
            break
        # Another process has published its results just now: these replace them, too.
        shutil.rmtree(old, ignore_errors=True)
    flush_path(results.parent)
