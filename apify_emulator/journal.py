"""
What the emulator keeps across restarts: an append-only file of documents.

The last line about each document wins. Each change is one system call without a sync: it survives a
kill of the process at any time, but not a power cut. A kill in the middle of a write leaves an
incomplete last line, which `load` drops.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson


class Journal:
    """The documents of an emulator, by kind and id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        # Ends the incomplete line that a full disk leaves, so that the next line is valid.
        self._line_end = b""
        self._batch: list[bytes] | None = None

    def load(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Returns every document by kind and id, oldest first, and compacts the file."""
        kinds: dict[str, dict[str, dict[str, Any]]] = {}
        if self._path.exists():
            with self._path.open("rb") as lines:
                for line in lines:
                    _replay(line, kinds)
        self._compact(kinds)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return kinds

    def put(self, kind: str, doc_id: str, document: Any) -> None:
        """Writes a document as it is now; `document` is a dataclass or a dict."""
        self._append([kind, doc_id, document])

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Writes all changes inside with one system call at the end; nothing inside may wait."""
        self._batch = []
        try:
            yield
        finally:
            lines, self._batch = self._batch, None
            if lines:
                self._write(b"".join(lines))

    def drop(self, kind: str, doc_id: str) -> None:
        """Deletes a document."""
        self._append([kind, doc_id, None])

    def close(self) -> None:
        """Closes the file; later changes are lost."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, entry: list[Any]) -> None:
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        if self._batch is None:
            self._write(line)
        else:
            self._batch.append(line)

    def _write(self, lines: bytes) -> None:
        # A task can end after the journal was closed; its change belongs to the next emulator.
        if self._file < 0:
            return
        lines = self._line_end + lines
        self._line_end = b"\n"
        # A full disk can take a part of the lines without an error.
        if os.write(self._file, lines) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._line_end = b""

    def _compact(self, kinds: dict[str, dict[str, dict[str, Any]]]) -> None:
        fresh = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as out:
            for kind, documents in kinds.items():
                for doc_id, document in documents.items():
                    entry = [kind, doc_id, document]
                    out.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        # A rename is atomic: a kill leaves either the old or the new file.
        fresh.replace(self._path)


def _replay(line: bytes, kinds: dict[str, dict[str, dict[str, Any]]]) -> None:
    if not line.endswith(b"\n"):
        return
    try:
        kind, doc_id, document = orjson.loads(line)
    except (orjson.JSONDecodeError, ValueError):
        # An incomplete line after a full disk; the lines after it are valid.
        return
    documents = kinds.setdefault(kind, {})
    if document is None:
        documents.pop(doc_id, None)
    else:
        documents[doc_id] = document
