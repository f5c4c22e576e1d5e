"""The results of one batch, or of several of a name, as one table in a file; starts nothing."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from pathlib import Path

from orchestrator.app.batch_folders import EXPORT, LEDGER, batches, display, refuse_own_file
from orchestrator.app.history.series import day_of
from orchestrator.app.outputs.item_files import has_items, sources_of
from orchestrator.app.outputs.merge import seen_before
from orchestrator.app.setup.signals import cleaned_up
from orchestrator.errors import BatchNotFound, OutputNotWritable, UsageError
from orchestrator.ledger import LedgerReader
from orchestrator.model.batches import ResultsFormat, ResultsPlan
from orchestrator.model.states import JobStatus
from orchestrator.results.item_source import Source
from orchestrator.results.table import write_table
from orchestrator.results.table_writer import COLUMNS, REJECTS, Table
from orchestrator.store.disk_writes import flush_path

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """
    What was exported.

    Attributes:
        file: with the table.
        batches: how many are in it.
        left_out: what is not in it, in words for a user.
        is_whole: whether everything that was asked for is in it.
    """

    file: Path
    table: Table
    batches: int
    left_out: Sequence[str]
    is_whole: bool


def export(
    folder: Path, format_: ResultsFormat, *, since: date | None, target: Path | None
) -> Exported:
    """
    Writes the table of a batch, or of all batches of its name since a day, the oldest first.

    The spec's `unique`, `new_only` and `types` apply; `partition_by` does not, because the table
    is one file.

    Args:
        target: the file; None for one in the folder of the batch.

    Raises:
        NotMerged: a library is missing, or files are not as they were collected.
        UsageError: there is no such batch, or the file cannot be written.
    """
    folders, unreadable = ([folder], []) if since is None else _since(folder.parent, since)
    if not folders:
        raise BatchNotFound(f"no batch of {folder.parent.name} is for {since} or a later day")
    left_out = [*unreadable, *chain.from_iterable(map(_left_out, folders))]
    target = target or _default_target(folders[-1], format_, since)
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file, or - for standard output")
    if target.exists() and not target.is_file():
        # The table takes the place of what has the name, so a pipe's reader would wait for ever.
        raise UsageError(f"{target} is a pipe or a device: name a file, or - for standard output")
    refuse_own_file(target)
    plan = _plan(folders[-1], format_)
    with (
        _workplace(target) as part,
        seen_before(folders[-1], plan) if plan.new_only else nullcontext() as seen,
    ):

        def sources() -> Iterator[Source]:
            for one in folders:
                yield from sources_of(one, is_one_of_many=since is not None)

        table = write_table(sources, plan, part, seen=seen, has_batches=since is not None)
        _publish(part, target, format_)
    return Exported(
        file=target, table=table, batches=len(folders), left_out=left_out, is_whole=not unreadable
    )


def _default_target(folder: Path, format_: ResultsFormat, since: date | None) -> Path:
    """The file in the folder of a batch; its folder exists afterwards."""
    lead = "items" if since is None else f"items-since-{since}"
    target = folder / EXPORT / f"{lead}.{format_.value}"
    _make_folder(target.parent)
    return target


def _since(home: Path, since: date) -> tuple[list[Path], list[str]]:
    """The batches of a name since a day, the oldest first, and those that cannot be read."""
    found: list[tuple[date, Path]] = []
    unreadable = []
    for folder in batches(home):
        try:
            with LedgerReader(folder / LEDGER) as reader:
                day = day_of(reader.batch())
        except UsageError as error:
            unreadable.append(f"{display(folder)}: not in the table: {error}")
            continue
        if day >= since:
            found.append((day, folder))
    # Batches come newest first; of one day, that order is kept.
    found.reverse()
    found.sort(key=lambda one: one[0])
    return [folder for _, folder in found], unreadable


def _plan(folder: Path, format_: ResultsFormat) -> ResultsPlan:
    with LedgerReader(folder / LEDGER) as reader:
        plan = reader.batch().plan.results or ResultsPlan()
    return replace(
        plan, format=format_, partition_by=(), csv_safe=plan.csv_safe and format_ == "csv"
    )


def _left_out(folder: Path) -> Iterator[str]:
    """What a batch has that is not in its table, in words."""
    others, unfit = 0, []
    with LedgerReader(folder / LEDGER) as reader:
        for report in reader.reports():
            if report.status is not JobStatus.SUCCEEDED:
                others += 1
            elif report.size_bytes and not has_items(report):
                unfit.append(f"{report.job.key} ({report.job.collect.query.format})")
    if others:
        jobs = "1 job that has" if others == 1 else f"{others:,} jobs that have"
        yield f"{display(folder)}: without the items of {jobs} not succeeded"
    if unfit:
        more = f" and {len(unfit) - SHOWN} more" if len(unfit) > SHOWN else ""
        yield (
            f"{display(folder)}: items that are not JSON Lines are not in the table: "
            f"{', '.join(unfit[:SHOWN])}{more}"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"{folder}: cannot be written ({error.strerror}); name another file with --to"
        ) from error


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A hidden folder beside a file; removed at the end."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    _make_folder(part)
    with cleaned_up(lambda: shutil.rmtree(part, ignore_errors=True)):
        yield part


def _publish(part: Path, target: Path, format_: ResultsFormat) -> None:
    """Flushes the files and gives them their names, the table last."""
    beside = {name: target.with_name(f"{target.name}.{name}") for name in (COLUMNS, REJECTS)}
    names = {**beside, f"items.{format_.value}": target}
    for name, path in names.items():
        made = part / name
        if not made.exists():
            path.unlink(missing_ok=True)
            continue
        flush_path(made)
        made.replace(path)
