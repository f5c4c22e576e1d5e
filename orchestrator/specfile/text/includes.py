"""A spec merged with its included files, and the way from each field back to its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.diagnostics import show
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.positions import shown_path
from orchestrator.specfile.text.syntax import Document, read_document, shown_file

MOST_FILES = 100
INCLUDE = "include"


class Documents:
    """
    The files of a spec, merged.

    Tables are merged entry by entry, and a file wins over the files that it includes. Jobs are
    joined in order, those of included files first.

    Attributes:
        files: included ones before those that include them; the spec itself is the last one.
        data: the merged data of all.
        unread: the mistakes of files that could not be read, and are not among these.
    """

    def __init__(self, files: Sequence[Document], unread: Sequence[Mistake] = ()) -> None:
        self.files = tuple(files)
        self.unread = tuple(unread)
        self.data: dict[str, Any] = {}
        self._jobs: list[tuple[Document, int]] = []
        self._homes: dict[FieldPath, Document] = {}
        for document in files:
            for name, value in document.data.items():
                self._add(document, name, value)

    def _add(self, document: Document, name: str, value: Any) -> None:
        below = self.data.get(name)
        self._homes[name,] = document
        if name == "jobs" and isinstance(value, list):
            self._jobs += [(document, index) for index in range(len(value))]
            self.data[name] = [*below, *value] if isinstance(below, list) else value
        elif isinstance(value, dict):
            self._homes |= {(name, entry): document for entry in value}
            self.data[name] = {**below, **value} if isinstance(below, dict) else value
        else:
            self.data[name] = value

    def home(self, path: FieldPath) -> tuple[Document, FieldPath]:
        """The file that has a field, and the field's path there."""
        match path:
            case ("jobs", int(index), *rest) if index < len(self._jobs):
                document, own = self._jobs[index]
                return document, ("jobs", own, *rest)
        # The entry of a table may come from another file than the table.
        for length in (2, 1):
            if path[:length] in self._homes:
                return self._homes[path[:length]], path
        return self.files[-1], path

    def mistake(self, path: FieldPath, message: str) -> Mistake:
        """A mistake at a field."""
        document, own = self.home(path)
        line, column = document.find(own)
        return Mistake(
            file=shown_file(document.path),
            line=line,
            column=column,
            field=shown_path(own),
            message=message,
            # Addresses of notifications and headers of webhooks may have secrets in them.
            source="" if own[:1] == ("notify",) or "webhooks" in own else document.line(line),
        )


def read_documents(path: Path) -> Documents:
    """
    Reads a spec and what it includes, each file once.

    Raises:
        SpecError: the spec itself cannot be read.
    """
    reader = _Reader()
    files = list(reader.read(path, ()))
    return Documents(files, reader.mistakes)


class _Reader:
    """
    Reads files with all that they include.

    Attributes:
        mistakes: of includes, and of included files; the others are read nevertheless.
    """

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._seen: set[str] = set()

    def read(self, path: Path, above: tuple[str, ...]) -> Iterator[Document]:
        """
        A file, after those that it includes.

        Args:
            above: the files that include it.

        Raises:
            SpecError: the file itself cannot be read.
        """
        above = (*above, os.path.realpath(path))
        self._seen.add(above[-1])
        document = read_document(path)
        names = document.data.pop(INCLUDE, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._add(document, (INCLUDE,), f"expected a list of files, found {show(names)}")
            names = []
        for index, name in enumerate(names):
            place, inner = (INCLUDE, index), path.parent / name
            why = self._why_not(inner, name, above)
            if why is not None:
                self._add(document, place, why)
            elif os.path.realpath(inner) not in self._seen:
                try:
                    yield from self.read(inner, above)
                except SpecError as error:
                    self.mistakes += error.mistakes
        yield document

    def _why_not(self, inner: Path, name: str, above: tuple[str, ...]) -> str | None:
        """Why a file cannot be included; None if it can."""
        try:
            resolved = os.path.realpath(inner)
        except ValueError:
            return f"{show(name)} is not a file name"
        # Only the files on the way here make a cycle; two files may include the same third one.
        if resolved in above:
            return f"{name} includes itself"
        if not inner.is_file():
            return f"{inner}: no such file"
        if len(self._seen) >= MOST_FILES and resolved not in self._seen:
            return f"a spec has at most {MOST_FILES} files"
        return None

    def _add(self, document: Document, place: FieldPath, message: str) -> None:
        self.mistakes.append(Documents([document]).mistake(place, message))
