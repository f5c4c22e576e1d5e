"""Reads the items of a job on disk as rows of a sweep, and makes its jobs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.app.batch.doubted_rows import doubt_rows
from orchestrator.app.batch.needed_results import read_output
from orchestrator.app.batch_folders import LEDGER
from orchestrator.app.history.absent_batches import absent_batches
from orchestrator.app.outputs.verification import check_files
from orchestrator.collector.items_file import items_name
from orchestrator.ledger import LedgerReader
from orchestrator.ledger.expansion_facts import Place, TakeNew
from orchestrator.model.batches import BatchPlan
from orchestrator.model.ids import JobKey
from orchestrator.model.item_sweeps import ItemSweep
from orchestrator.model.jobs import ItemsQuery, Job
from orchestrator.model.whole_pairs import read_json
from orchestrator.pasted_command import pasted_command
from orchestrator.specfile.items import ItemJobs
from orchestrator.specfile.tables.source_mistake import SourceMistake


def item_jobs(sweep: ItemSweep, folder: Path, *, is_local: bool) -> ItemJobs:
    """
    What makes the jobs of a sweep, for the batch in a folder.

    Raises:
        ValueError: the results of an earlier batch cannot be read.
    """
    try:
        absent = absent_batches(folder.parent.parent, is_local=is_local)
        return ItemJobs(sweep, folder, is_local=is_local, absent=absent, tell=doubt_rows)
    except SourceMistake as mistake:
        raise ValueError(f"{mistake.file}: {mistake}") from mistake


def jobs_of_items(
    maker: ItemJobs, folder: Path, key: str, take_new: TakeNew, place: Place
) -> Iterator[Job | str]:
    """
    The jobs of the items of one job in the folder of a batch, as a stream; see `ItemJobs.make`.

    Raises:
        OSError, ValueError, InputRejected: the items cannot be read.
    """
    home = folder / "jobs" / key
    rows = _record(home) if maker.takes_output else _items(home)
    return maker.make(key, rows, take_new, place)


def remade_jobs(folder: Path, plan: BatchPlan) -> Iterator[Job]:
    """
    The jobs that a changed spec makes of the items that were taken as rows before, as a stream.

    Raises:
        OSError, ValueError, InputRejected: the items of some job cannot be read.
    """
    if not plan.sweeps:
        return
    is_local = plan.local is not None
    makers = {sweep.name: item_jobs(sweep, folder, is_local=is_local) for sweep in plan.sweeps}
    with LedgerReader(folder / LEDGER) as reader:
        expansions = reader.expansions()
        keys = {seq: key for seq, key, _ in reader.statuses()}
        for source in dict.fromkeys(one.source for one in expansions if one.sweep in makers):
            _check_whole(reader, folder, keys[source])
    known: set[int] = set()

    def take_new(digests: Sequence[int]) -> set[int]:
        new = set(digests) - known
        known.update(new)
        return new

    for one in expansions:
        if one.sweep in makers:
            made = jobs_of_items(makers[one.sweep], folder, keys[one.source], take_new, int)
            yield from (job for job in made if isinstance(job, Job))


def _check_whole(reader: LedgerReader, folder: Path, key: JobKey) -> None:
    """
    Refuses the files of a job that are absent, or those of an earlier attempt.

    Another machine may have the right ones. Of fewer items fewer jobs are made, and the others
    would count as removed.

    Raises:
        ValueError: the files of a job are not what the ledger says.
    """
    report = reader.report(key)
    problems = check_files(folder / "jobs" / key, report).problems if report else ()
    if problems:
        raise ValueError(
            f"{key}: {problems[0]}: run `{pasted_command('collect', folder)}` to download it again"
        )


def _items(home: Path) -> Iterator[Any]:
    with (home / items_name(ItemsQuery())).open("rb") as lines:
        for line in lines:
            yield read_json(line)


def _record(home: Path) -> Iterator[Any]:
    """The rows of an output record: the elements of a list, or the record itself."""
    record = read_output(home)
    yield from record if isinstance(record, list) else [record]
