"""
A key-value store: one file per record, with its key and type in the first line.

Keys come from outside. The name of a file contains a digest of the key, so that no key leads out of
the folder, is too long, or collides with a key that differs only in case.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson

from apify_emulator.refusals import ApiError
from apify_emulator.times import now

_KEY = re.compile(r"[a-zA-Z0-9!\-_.'()]{1,256}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One record.

    Attributes:
        path: None if `body` holds the value.
        start: the position in the file where the value begins.
    """

    key: str
    content_type: str
    size: int
    path: Path | None = None
    start: int = 0
    body: bytes = b""

    def read(self) -> bytes:
        """Returns the value."""
        if self.path is None:
            return self.body
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read()


def check_key(key: str) -> str:
    """
    Returns the key.

    Raises:
        ApiError: it has a character that is not allowed in keys, or is too long (400).
    """
    if not _KEY.fullmatch(key):
        raise ApiError(
            400,
            "invalid-record-key",
            "Record key must be 1 to 256 characters of a-z, A-Z, 0-9 and !-_.'()",
        )
    return key


class KeyValueStore:
    """
    One store.

    Attributes:
        simulated: returns the records of a simulation; a file with the same key replaces one.
    """

    def __init__(
        self,
        store_id: str,
        folder: Path,
        *,
        created_at: float,
        name: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
        simulated: Callable[[], dict[str, Record]] | None = None,
    ) -> None:
        self.id = store_id
        self.name = name
        self.run_id = run_id
        self.actor_id = actor_id
        self.created_at = created_at
        self.modified_at = created_at
        self.accessed_at = created_at
        self.reads = self.writes = self.deletes = self.lists = 0
        self.general_access = "FOLLOW_USER_SETTING"
        self._folder = folder
        self._simulated_records = simulated
        # None marks a record of a simulation that was deleted.
        self._files: dict[str, Record | None] = dict(_scan(folder))

    def get(self, key: str) -> Record | None:
        """Returns a record; None if it does not exist."""
        if key in self._files:
            return self._files[key]
        return self._simulated_records().get(key) if self._simulated_records is not None else None

    @property
    def has_files(self) -> bool:
        """Whether it has records of its own, beside those of a simulation."""
        return bool(self._files)

    @property
    def size_bytes(self) -> int:
        """The size of all values that were written."""
        return sum(record.size for record in self._files.values() if record is not None)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Writes a record; a reader sees either the old or the new value."""
        self.writes += 1
        self._write(key, content_type, body, is_deleted=False)

    def remove(self, key: str) -> None:
        """Deletes a record, if it exists."""
        self.deletes += 1
        if self._simulated_records is not None and key in self._simulated_records():
            # A marker, because the simulation would compute the record again.
            self._write(key, "", b"", is_deleted=True)
            return
        record = self._files.pop(key, None)
        if record is not None and record.path is not None:
            record.path.unlink(missing_ok=True)
            self.modified_at = now()

    def become_real(self) -> None:
        """Writes the records that a simulation computes to files."""
        for record in self.records():
            if record.key not in self._files:
                self._write(record.key, record.content_type, record.read(), is_deleted=False)

    def records(self) -> list[Record]:
        """Returns all records in the binary order of their keys."""
        everything: dict[str, Record | None] = (
            dict(self._simulated_records()) if self._simulated_records else {}
        )
        everything.update(self._files)
        found = [record for record in everything.values() if record is not None]
        return sorted(found, key=lambda record: record.key.encode())

    def delete(self) -> None:
        """Deletes the folder."""
        for record in self._files.values():
            if record is not None and record.path is not None:
                record.path.unlink(missing_ok=True)
        self._files.clear()
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _write(self, key: str, content_type: str, body: bytes, *, is_deleted: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        head = orjson.dumps(
            {"key": key, "contentType": content_type, "deleted": is_deleted},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        path = self._folder / _file_name(key)
        fresh = self._folder / f".{secrets.token_hex(8)}"
        fresh.write_bytes(head + body)
        # A rename is atomic, so a reader never sees half a record.
        fresh.replace(path)
        self.modified_at = now()
        self._files[key] = (
            None
            if is_deleted
            else Record(
                key=key, content_type=content_type, size=len(body), path=path, start=len(head)
            )
        )


def _file_name(key: str) -> str:
    readable = _UNSAFE.sub("_", key)[:80]
    return f"{readable}.{sha256(key.encode()).hexdigest()[:20]}"


def _scan(folder: Path) -> Iterator[tuple[str, Record | None]]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        # A kill between write and rename leaves such a file.
        if path.name.startswith("."):
            path.unlink(missing_ok=True)
            continue
        with path.open("rb") as file:
            line = file.readline()
        head = orjson.loads(line)
        key = head["key"]
        if head["deleted"]:
            yield key, None
        else:
            size = path.stat().st_size - len(line)
            yield (
                key,
                Record(
                    key=key,
                    content_type=head["contentType"],
                    size=size,
                    path=path,
                    start=len(line),
                ),
            )
