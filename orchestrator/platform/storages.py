"""
Which storages there are: each run's own three, and those made by name or by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import orjson

from orchestrator.platform.datasets import Dataset
from orchestrator.platform.errors import invalid_input, record_not_found
from orchestrator.platform.ids import new_id, now
from orchestrator.platform.journal import Journal
from orchestrator.platform.queues import RequestQueue
from orchestrator.platform.runbook import RunBook
from orchestrator.platform.runs import Run
from orchestrator.platform.simulated import (
    Script,
    item_lines,
    items_so_far,
    script_of,
)
from orchestrator.platform.stores import KeyValueStore, Record

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """
    What the journal keeps of a storage that is no run's own.
    """

    id: str
    name: str | None
    created_at: float


class Storage(Protocol):
    """
    What all three kinds have.
    """

    id: str
    name: str | None
    accessed_at: float

    def delete(self) -> None:
        """
        Remove what is on disk.
        """
        ...


S = TypeVar("S", bound=Storage)


class Shelf(Generic[S]):
    """
    All storages of one kind.
    """

    noun = ""
    kind = ""

    def __init__(self, folder: Path, journal: Journal, runs: RunBook) -> None:
        self.folder = folder
        self._journal = journal
        self._runs = runs
        self._named: dict[str, Named] = {}
        self._by_name: dict[str, str] = {}
        self._open: dict[str, S] = {}
        self._deleted: set[str] = set()

    def load(self, named: dict[str, Named], deleted: set[str]) -> None:
        """
        Take up what the journal remembers.
        """
        self._named = named
        self._by_name = {entry.name: entry.id for entry in named.values() if entry.name}
        self._deleted = deleted

    def get(self, reference: str) -> S:
        """
        Return a storage by its id, `username~name` or `~name`.

        Raises:
            ApiError: there is none (404).
        """
        storage = self._open.get(reference)
        if storage is None:
            storage = self._reopen(reference)
        if storage is None and "~" in reference:
            named = self._by_name.get(reference.partition("~")[2])
            storage = None if named is None else self.get(named)
        if storage is None:
            raise record_not_found(self.noun)
        storage.accessed_at = now()
        return storage

    def get_or_create(self, name: str | None) -> tuple[S, bool]:
        """
        Return the storage of that name and whether it is new; without a name it always is.
        """
        if name:
            if not _NAME.fullmatch(name):
                raise invalid_input(
                    f'"{name}" is no name of a storage: letters, digits and hyphens inside, '
                    "63 characters at most"
                )
            known = self._by_name.get(name)
            if known is not None:
                return self.get(known), False
        entry = Named(id=new_id(), name=name or None, created_at=now())
        self._remember(entry)
        return self.get(entry.id), True

    def rename(self, storage: S, name: str | None) -> None:
        """
        Give a storage another name.
        """
        if name and self._by_name.get(name, storage.id) != storage.id:
            raise invalid_input(f'The name "{name}" is taken')
        if storage.name:
            self._by_name.pop(storage.name, None)
        storage.name = name or None
        known = self._named.get(storage.id)
        created_at = known.created_at if known else now()
        self._remember(Named(id=storage.id, name=storage.name, created_at=created_at))

    def delete(self, storage: S) -> None:
        """
        Remove a storage and its content.
        """
        storage.delete()
        self._open.pop(storage.id, None)
        if storage.name:
            self._by_name.pop(storage.name, None)
        if self._named.pop(storage.id, None) is not None:
            self._journal.drop(self.kind, storage.id)
        if storage.id in self._runs.by_storage:
            self._deleted.add(storage.id)
            self._journal.put("deleted", storage.id, {})

    def discard(self, storage_id: str) -> None:
        """
        Remove the content of a run's own storage, the run being forgotten; it may be gone already.
        """
        storage = self._open.pop(storage_id, None) or self._reopen(storage_id)
        if storage is not None:
            storage.delete()
        self._open.pop(storage_id, None)
        if storage_id in self._deleted:
            self._deleted.discard(storage_id)
            self._journal.drop("deleted", storage_id)

    def listed(self, *, unnamed: bool) -> list[S]:
        """
        Return the storages in the order of their creation; the named ones unless `unnamed`.
        """
        return list(self._all(unnamed=unnamed))

    def open_for(self, run: Run, storage_id: str) -> S:
        """
        Open a run's own storage.
        """
        raise NotImplementedError

    def open_named(self, entry: Named) -> S:
        """
        Open a storage that is no run's own.
        """
        raise NotImplementedError

    def is_kept_open(self, storage: S) -> bool:
        """
        Return whether it holds what cannot be read again cheaply.
        """
        raise NotImplementedError

    def id_in(self, run: Run) -> str:
        """
        Return the id of a run's own storage of this kind.
        """
        raise NotImplementedError

    def _all(self, *, unnamed: bool) -> Iterator[S]:
        for entry in tuple(self._named.values()):
            if entry.name or unnamed:
                yield self.get(entry.id)
        if unnamed:
            for run in self._runs.all:
                if self.id_in(run) not in self._deleted and self.id_in(run) not in self._named:
                    yield self.get(self.id_in(run))

    def _remember(self, entry: Named) -> None:
        self._named[entry.id] = entry
        if entry.name:
            self._by_name[entry.name] = entry.id
        self._journal.put(self.kind, entry.id, entry)

    def _reopen(self, storage_id: str) -> S | None:
        if storage_id in self._deleted:
            return None
        entry = self._named.get(storage_id)
        run = self._runs.by_storage.get(storage_id)
        if run is not None and self.id_in(run) == storage_id:
            storage = self.open_for(run, storage_id)
            if entry is not None:
                storage.name = entry.name
        elif entry is not None:
            storage = self.open_named(entry)
        else:
            return None
        if self.is_kept_open(storage):
            self._open[storage_id] = storage
        return storage


class _RunItems:
    """
    The items of a simulated run.
    """

    __slots__ = ("_run", "_script")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._script: Script = script_of(run)

    def count(self) -> int:
        return items_so_far(self._run, self._script, now())

    def lines(self, start: int, stop: int) -> bytes:
        return item_lines(self._script, start, stop)

    def changed_at(self) -> float:
        run = self._run
        return run.finished_at or run.running_since or run.started_at


class Datasets(Shelf[Dataset]):
    """
    All datasets.
    """

    noun = "Dataset"
    kind = "dataset"

    def __init__(self, folder: Path, journal: Journal, runs: RunBook) -> None:
        super().__init__(folder, journal, runs)
        folder.mkdir(parents=True, exist_ok=True)
        # Looked up for every read of a simulated run's items, where a look at the disk would show.
        self._on_disk = {path.stem for path in folder.iterdir()}

    def open_for(self, run: Run, storage_id: str) -> Dataset:  # noqa: D102 - see Shelf
        is_simulated = run.is_virtual and storage_id not in self._on_disk
        return Dataset(
            storage_id,
            self.folder / f"{storage_id}.jsonl",
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
            simulation=_RunItems(run) if is_simulated else None,
        )

    def open_named(self, entry: Named) -> Dataset:  # noqa: D102 - see Shelf
        path = self.folder / f"{entry.id}.jsonl"
        return Dataset(entry.id, path, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: Dataset) -> bool:  # noqa: D102 - see Shelf
        return storage.size_bytes > 0 or storage.name is not None

    def keep(self, dataset: Dataset) -> None:
        """
        Keep a dataset open that now has a file.
        """
        self._open[dataset.id] = dataset
        self._on_disk.add(dataset.id)

    def id_in(self, run: Run) -> str:  # noqa: D102 - see Shelf
        return run.dataset_id


class Stores(Shelf[KeyValueStore]):
    """
    All key-value stores.
    """

    noun = "Key-value store"
    kind = "store"

    def open_for(self, run: Run, storage_id: str) -> KeyValueStore:  # noqa: D102 - see Shelf
        return KeyValueStore(
            storage_id,
            self.folder / storage_id,
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
            made_up=(lambda: _made_up(run)) if run.is_virtual else None,
        )

    def open_named(self, entry: Named) -> KeyValueStore:  # noqa: D102 - see Shelf
        folder = self.folder / entry.id
        return KeyValueStore(entry.id, folder, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: KeyValueStore) -> bool:  # noqa: D102 - see Shelf
        run = self._runs.by_storage.get(storage.id)
        return run is None or not run.is_virtual

    def id_in(self, run: Run) -> str:  # noqa: D102 - see Shelf
        return run.store_id


class Queues(Shelf[RequestQueue]):
    """
    All request queues.
    """

    noun = "Request queue"
    kind = "queue"

    def open_for(self, run: Run, storage_id: str) -> RequestQueue:  # noqa: D102 - see Shelf
        path = self.folder / f"{storage_id}.jsonl"
        return RequestQueue(
            storage_id,
            path,
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
        )

    def open_named(self, entry: Named) -> RequestQueue:  # noqa: D102 - see Shelf
        path = self.folder / f"{entry.id}.jsonl"
        return RequestQueue(entry.id, path, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: RequestQueue) -> bool:  # noqa: ARG002, D102 - locks live in it
        return True

    def id_in(self, run: Run) -> str:  # noqa: D102 - see Shelf
        return run.queue_id


def _made_up(run: Run) -> dict[str, Record]:
    """
    Return the records of a simulated run.
    """
    records: dict[str, Record] = {}
    if run.input_text is not None:
        records[run.input_key] = _record(
            run.input_key, run.input_type or "application/json", run.input_text.encode()
        )
    script = script_of(run)
    if script.has_output and run.status == "SUCCEEDED":
        body = orjson.dumps(script.output)
        records["OUTPUT"] = _record("OUTPUT", "application/json; charset=utf-8", body)
    return records


def _record(key: str, content_type: str, body: bytes) -> Record:
    return Record(key=key, content_type=content_type, size=len(body), body=body)
