"""The three kinds of storages, and the content of a simulated run's storages."""

from __future__ import annotations

from pathlib import Path

import orjson

from apify_emulator.journal import Journal
from apify_emulator.runs.run import Run
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.runs.simulation import Script, item_lines, items_so_far, script_of
from apify_emulator.storages.dataset import Dataset
from apify_emulator.storages.key_value_store import KeyValueStore, Record
from apify_emulator.storages.request_queue import RequestQueue
from apify_emulator.storages.storage_collection import AccountStorage, StorageCollection
from apify_emulator.times import now


class _SimulatedItems:
    """The items of a simulated run."""

    __slots__ = ("_alias", "_run")

    def __init__(self, run: Run, alias: str | None = None) -> None:
        self._run = run
        self._alias = alias

    @property
    def _script(self) -> Script:
        return script_of(self._run)

    def count(self) -> int:
        if self._alias is not None:
            return self._script.datasets[self._alias] if self._run.is_terminal else 0
        run = self._run
        # What an ended run has does not depend on its recording, which can be deleted.
        return run.items_made if run.is_terminal else items_so_far(run, self._script, now())

    def lines(self, start: int, stop: int) -> bytes:
        return item_lines(self._script, start, stop)

    def changed_at(self) -> float:
        run = self._run
        if run.finished_at is None and run.running_since and self._script.push_interval_secs:
            return now()
        return run.finished_at or run.running_since or run.started_at


class Datasets(StorageCollection[Dataset]):
    """All datasets."""

    noun = "Dataset"
    kind = "dataset"

    def __init__(self, folder: Path, journal: Journal, runs: RunRegistry) -> None:
        super().__init__(folder, journal, runs)
        folder.mkdir(parents=True, exist_ok=True)
        # Kept in memory, because a file check at each read of simulated items would be slow.
        self._on_disk = {path.stem for path in folder.iterdir()}

    def open_of_run(self, run: Run, storage_id: str) -> Dataset:  # noqa: D102 - see StorageCollection
        is_simulated = run.is_virtual and storage_id not in self._on_disk
        return Dataset(
            storage_id,
            self.folder / f"{storage_id}.jsonl",
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
            simulation=_SimulatedItems(run, self._alias(run, storage_id)) if is_simulated else None,
        )

    def open_of_account(self, entry: AccountStorage) -> Dataset:  # noqa: D102 - see StorageCollection
        path = self.folder / f"{entry.id}.jsonl"
        return Dataset(entry.id, path, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: Dataset) -> bool:  # noqa: D102 - see StorageCollection
        return storage.size_bytes > 0 or storage.name is not None

    def keep(self, dataset: Dataset) -> None:
        """Keeps a dataset open, because it now has a file."""
        self._open[dataset.id] = dataset
        self._on_disk.add(dataset.id)

    def ids_in(self, run: Run) -> tuple[str, ...]:  # noqa: D102 - see StorageCollection
        return (run.dataset_id, *(run.datasets or {}).values())

    def _alias(self, run: Run, storage_id: str) -> str | None:
        aliases = (run.datasets or {}).items()
        return next((alias for alias, owned in aliases if owned == storage_id), None)


class Stores(StorageCollection[KeyValueStore]):
    """All key-value stores."""

    noun = "Key-value store"
    kind = "store"

    def open_of_run(self, run: Run, storage_id: str) -> KeyValueStore:  # noqa: D102 - see StorageCollection
        return KeyValueStore(
            storage_id,
            self.folder / storage_id,
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
            simulated=(lambda: _simulated_records(run)) if run.is_virtual else None,
        )

    def open_of_account(self, entry: AccountStorage) -> KeyValueStore:  # noqa: D102 - see StorageCollection
        folder = self.folder / entry.id
        return KeyValueStore(entry.id, folder, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: KeyValueStore) -> bool:  # noqa: D102 - see StorageCollection
        run = self._runs.by_storage.get(storage.id)
        return run is None or not run.is_virtual or storage.has_files

    def keep(self, store: KeyValueStore) -> None:
        """Keeps a store open, because it has files now, and a search for them takes time."""
        self._open[store.id] = store

    def ids_in(self, run: Run) -> tuple[str, ...]:  # noqa: D102 - see StorageCollection
        return (run.store_id,)


class Queues(StorageCollection[RequestQueue]):
    """All request queues."""

    noun = "Request queue"
    kind = "queue"

    def open_of_run(self, run: Run, storage_id: str) -> RequestQueue:  # noqa: D102 - see StorageCollection
        path = self.folder / f"{storage_id}.jsonl"
        return RequestQueue(
            storage_id,
            path,
            created_at=run.started_at,
            run_id=run.id,
            actor_id=run.actor_id,
        )

    def open_of_account(self, entry: AccountStorage) -> RequestQueue:  # noqa: D102 - see StorageCollection
        path = self.folder / f"{entry.id}.jsonl"
        return RequestQueue(entry.id, path, created_at=entry.created_at, name=entry.name)

    def is_kept_open(self, storage: RequestQueue) -> bool:  # noqa: ARG002, D102 - locks live in it
        return True

    def ids_in(self, run: Run) -> tuple[str, ...]:  # noqa: D102 - see StorageCollection
        return (run.queue_id,)


def _simulated_records(run: Run) -> dict[str, Record]:
    """Returns the records of a simulated run."""
    records: dict[str, Record] = {}
    if run.input_text is not None:
        records[run.input_key] = _record(
            run.input_key, run.input_type or "application/json", run.input_text.encode()
        )
    script = script_of(run)
    if script.recording is not None:
        if run.is_terminal:
            for value in script.recording.records:
                records[value.key] = Record(
                    key=value.key,
                    content_type=value.content_type,
                    size=value.path.stat().st_size,
                    path=value.path,
                )
    elif script.has_output and run.status == "SUCCEEDED":
        body = orjson.dumps(script.output)
        records["OUTPUT"] = _record("OUTPUT", "application/json; charset=utf-8", body)
    return records


def _record(key: str, content_type: str, body: bytes) -> Record:
    return Record(key=key, content_type=content_type, size=len(body), body=body)
