"""Dependencies of jobs on other jobs, and the results that their templates may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.collector.items_file import items_name
from orchestrator.errors import InputRejected
from orchestrator.ledger import LedgerReader
from orchestrator.model.ids import JobKey
from orchestrator.model.item_sweeps import Sources
from orchestrator.model.jobs import MAX_INPUT_BYTES, ItemsQuery
from orchestrator.model.states import JobStatus
from orchestrator.model.whole_pairs import read_json
from orchestrator.scheduler.decide.dependencies import Dependencies
from orchestrator.scheduler.decide.item_needs import ItemNeeds
from orchestrator.scheduler.decide.lane import QueuedJob
from orchestrator.specfile.jobs.needed_jobs import KeyIndex, is_pattern, makers_of
from orchestrator.specfile.jobs.needed_values import FACTS, READABLE, no_items_in_input
from orchestrator.system_errors import refuse_exhaustion


def needs_of(
    reader: LedgerReader, waiting: Iterable[QueuedJob]
) -> tuple[Dependencies, Iterable[QueuedJob]]:
    """The jobs that wait for other jobs, and those that do not, which may come as a stream."""
    needing = reader.needing()
    if not needing:
        return Dependencies(), waiting
    seqs, keys, statuses = zip(*reader.statuses(), strict=True)
    index = KeyIndex(keys)
    needed = {
        needs: [seqs[place] for _, places in index.matching(needs) for place in places]
        for needs in set(needing.values())
    }
    sweeps = reader.batch().plan.sweeps
    makers = {needs: makers_of(needs, sweeps) for needs in needed}
    items = ItemNeeds(Sources(sweeps, reader.expansions() if sweeps else ()), makers)
    held, free = [], []
    for job in waiting:
        needs = needing.get(job.seq)
        if needs is None:
            free.append(job)
        else:
            held.append((job, needs))
    by_place = dict(zip(seqs, statuses, strict=True))
    sources = dict(zip(seqs, keys, strict=True)) if any(makers.values()) else {}
    return Dependencies(needed, held, by_place, items=items, keys=sources), free


class Table(Mapping[str, Any]):
    """A table whose values are made on access."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> Any:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def unmet(reader: LedgerReader, needs: tuple[str, ...]) -> list[str]:
    """The jobs that are needed and have not succeeded, and the sources of those still to come."""
    if not needs:
        return []
    seqs, keys, statuses = zip(*reader.statuses(), strict=True)
    places = {place for _, found in KeyIndex(keys).matching(needs) for place in found}
    found = [keys[place] for place in sorted(places) if statuses[place] is not JobStatus.SUCCEEDED]
    sweeps = reader.batch().plan.sweeps
    items = ItemNeeds(
        Sources(sweeps, reader.expansions() if sweeps else ()), {needs: makers_of(needs, sweeps)}
    )
    if makers := items.makers(needs):
        sources = zip(seqs, keys, strict=True)
        found += [
            f"the jobs of the items of {key}"
            for seq, key in sources
            if any(sweep in makers for sweep, _ in items.steps(seq, key))
        ]
    return found


class KnownKeys:
    """The keys of the jobs of a batch; reads them again only when there are more jobs."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._last = -1
        self._keys: list[JobKey] = []
        self._index = KeyIndex()

    def matching(self, needs: tuple[str, ...]) -> Iterator[tuple[str, list[JobKey]]]:
        """The keys that each pattern matches, in the order of the spec."""
        last = self._reader.last_seq()
        if last != self._last:
            self._last, self._keys = last, self._reader.keys()
            self._index = KeyIndex(self._keys)
        for pattern, places in self._index.matching(needs):
            yield pattern, [self._keys[place] for place in places]


def read_needed(
    reader: LedgerReader, known: KnownKeys, folder: Path, needs: tuple[str, ...]
) -> dict[str, Table]:
    """
    The value of the template name `needs`: a table of facts for each key that is needed.

    Each pattern has a table too; each of its facts is a list in the order of the spec.

    Args:
        folder: of the batch.
    """
    facts: dict[str, Table] = {}
    with reader.translated():
        for pattern, keys in known.matching(needs):
            found: dict[str, Table] = {
                key: _facts_of(reader, folder / "jobs" / key, key) for key in keys
            }
            facts.update(found)
            if is_pattern(pattern):
                tables = list(found.values())
                facts[pattern] = Table({name: partial(_all, tables, name) for name in FACTS})
    return facts


def _facts_of(reader: LedgerReader, folder: Path, key: str) -> Table:
    report = reader.report(key)
    if report is None or report.status is not JobStatus.SUCCEEDED:
        raise InputRejected(f"needs {key}, which has not succeeded")
    return Table(
        {
            "run_id": lambda: report.run_id,
            "dataset_id": lambda: report.dataset_id,
            "store_id": lambda: report.store_id,
            "output": lambda: read_output(folder),
            "items": lambda: _items(folder, report.job.collect.query),
        }
    )


def _all(tables: Sequence[Table], name: str) -> list[Any]:
    """A fact of several jobs; their items are joined."""
    values = [table[name] for table in tables]
    return [item for items in values for item in items] if name == "items" else values


def _items(folder: Path, query: ItemsQuery) -> list[Any]:
    if query.format not in READABLE:
        raise InputRejected(f"{folder.name} {no_items_in_input(query.format)}")
    body = _read(folder / items_name(query))
    if query.format == "json":
        return list(read_json(body))
    return [read_json(line) for line in body.splitlines()]


def read_output(folder: Path) -> Any:
    """
    The output record in the folder of a job: data if it is JSON, else text.

    Raises:
        InputRejected: it is not there, or cannot be read.
    """
    for path in folder.glob("output.*"):
        body = _read(path)
        return read_json(body) if path.suffix == ".json" else body.decode("utf-8", "replace")
    raise InputRejected(f"{folder.name} has no output record on disk: give it collect.output")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_INPUT_BYTES:
            raise InputRejected(f"{path.name} of {path.parent.name} is larger than an input may be")
        return path.read_bytes()
    except OSError as error:
        refuse_exhaustion(error)
        raise InputRejected(f"{path.name} of {path.parent.name}: {error.strerror}") from error


Facts = Callable[[tuple[str, ...]], Mapping[str, object]]
"""Returns the value of `needs` for a job with these needs."""
