"""All storages of one kind: those of runs, and those that the API created for the account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from apify_emulator.ids import new_id
from apify_emulator.journal import Journal
from apify_emulator.refusals import invalid_input, record_not_found
from apify_emulator.runs.run import Run
from apify_emulator.runs.run_registry import RunRegistry
from apify_emulator.times import now

DEFAULT_ACCESS = "FOLLOW_USER_SETTING"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStorage:
    """
    What the journal keeps of a storage that is not the own storage of a run.

    Attributes:
        actor_id: of the Actor whose run created it; None if the account's owner created it.
    """

    id: str
    name: str | None
    created_at: float
    actor_id: str | None = None
    general_access: str = DEFAULT_ACCESS


class Storage(Protocol):
    """What all three kinds of storages have."""

    id: str
    name: str | None
    created_at: float
    accessed_at: float
    general_access: str

    def become_real(self) -> None:
        """Writes what a simulation computes to disk."""
        ...

    def delete(self) -> None:
        """Deletes the content on disk."""
        ...


S = TypeVar("S", bound=Storage)


class StorageCollection(Generic[S]):
    """All storages of one kind."""

    noun = ""
    kind = ""

    def __init__(self, folder: Path, journal: Journal, runs: RunRegistry) -> None:
        self.folder = folder
        self._journal = journal
        self._runs = runs
        self._named: dict[str, AccountStorage] = {}
        self._by_name: dict[str, str] = {}
        self._open: dict[str, S] = {}
        self._deleted: set[str] = set()

    def load(self, named: dict[str, AccountStorage], deleted: set[str]) -> None:
        """Loads the documents of the journal."""
        self._named = named
        self._by_name = {entry.name: entry.id for entry in named.values() if entry.name}
        self._deleted = deleted

    def get(self, reference: str) -> S:
        """
        Returns a storage by its id, `username~name` or `~name`.

        Raises:
            ApiError: it does not exist (404).
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

    def get_or_create(self, name: str | None, run_id: str | None = None) -> tuple[S, bool]:
        """
        Returns the storage of a name, and whether it is new; without a name it is always new.

        Args:
            run_id: of the calling run; None for the account's owner.
        """
        if name:
            checked_name(name)
            known = self._by_name.get(name)
            if known is not None:
                return self.get(known), False
        actor_id = None if run_id is None else self._runs.get(run_id).actor_id
        entry = AccountStorage(id=new_id(), name=name or None, created_at=now(), actor_id=actor_id)
        self._remember(entry)
        return self.get(entry.id), True

    def creator_of(self, storage_id: str) -> str | None:
        """Returns the Actor whose run created a storage; None for the account's owner."""
        entry = self._named.get(storage_id)
        return None if entry is None else entry.actor_id

    def rename(self, storage: S, name: object) -> None:
        """
        Renames a storage; None takes the name away.

        Raises:
            ApiError: the name is not valid or is taken (400); nothing changes.
        """
        name = checked_name(name) if name else None
        if name and self._by_name.get(name, storage.id) != storage.id:
            raise invalid_input(f'The name "{name}" is taken')
        if storage.name:
            self._by_name.pop(storage.name, None)
        storage.name = name
        self._remember(replace(self._entry(storage), name=storage.name))

    def open_to(self, storage: S, access: str) -> None:
        """Changes who can read a storage."""
        storage.general_access = access
        self._remember(replace(self._entry(storage), general_access=access))

    def _entry(self, storage: S) -> AccountStorage:
        known = self._named.get(storage.id)
        return known or AccountStorage(
            id=storage.id, name=storage.name, created_at=storage.created_at
        )

    def delete(self, storage: S) -> None:
        """Deletes a storage and its content."""
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
        """Deletes a run's own storage, if it exists and has no name, when the run is deleted."""
        storage = self._open.pop(storage_id, None) or self._reopen(storage_id)
        if storage is not None and storage.name:
            storage.become_real()
        elif storage is not None:
            storage.delete()
            if self._named.pop(storage_id, None) is not None:
                self._journal.drop(self.kind, storage_id)
        self._open.pop(storage_id, None)
        # The run is deleted too, so nothing can create the storage again.
        if storage_id in self._deleted:
            self._deleted.discard(storage_id)
            self._journal.drop("deleted", storage_id)

    def listed(self, *, unnamed: bool) -> list[S]:
        """Returns the storages in order of creation; only named ones unless `unnamed`."""
        return sorted(self._all(unnamed=unnamed), key=lambda storage: storage.created_at)

    def open_of_run(self, run: Run, storage_id: str) -> S:
        """Opens a run's own storage."""
        raise NotImplementedError

    def open_of_account(self, entry: AccountStorage) -> S:
        """Opens a storage of the account."""
        raise NotImplementedError

    def is_kept_open(self, storage: S) -> bool:
        """Returns whether it stays in memory, because it is expensive to read again."""
        raise NotImplementedError

    def ids_in(self, run: Run) -> tuple[str, ...]:
        """Returns the ids of a run's own storages of this kind."""
        raise NotImplementedError

    def _all(self, *, unnamed: bool) -> Iterator[S]:
        for entry in tuple(self._named.values()):
            if entry.name or unnamed:
                yield self.get(entry.id)
        if unnamed:
            for run in self._runs.all:
                for own_id in self.ids_in(run):
                    if own_id not in self._deleted and own_id not in self._named:
                        yield self.get(own_id)

    def _remember(self, entry: AccountStorage) -> None:
        self._named[entry.id] = entry
        if entry.name:
            self._by_name[entry.name] = entry.id
        self._journal.put(self.kind, entry.id, entry)

    def _reopen(self, storage_id: str) -> S | None:
        # The run still names its storage, which would otherwise exist again.
        if storage_id in self._deleted:
            return None
        entry = self._named.get(storage_id)
        run = self._runs.by_storage.get(storage_id)
        if run is not None and storage_id in self.ids_in(run):
            storage = self.open_of_run(run, storage_id)
        elif entry is not None:
            storage = self.open_of_account(entry)
        else:
            return None
        if entry is not None:
            storage.name, storage.general_access = entry.name, entry.general_access
        if self.is_kept_open(storage):
            self._open[storage_id] = storage
        return storage


def checked_name(name: object) -> str:
    """
    Returns the name of a storage.

    Raises:
        ApiError: it is not a valid one (400).
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid_input(
            f"{name!r} is not a valid storage name: use letters, digits and inner hyphens, at most "
            "63 characters"
        )
    return name
