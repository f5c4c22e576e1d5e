"""Reads a spec's file into its model; reports all mistakes, each with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.model.jobs import variables_in
from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.model import Spec
from orchestrator.specfile.templates.template import is_template
from orchestrator.specfile.templates.trees import strings_in
from orchestrator.specfile.text.includes import Documents, read_documents
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.text.syntax import make_jsonable
from orchestrator.specfile.unsupported_fields import take_out_of_scope
from orchestrator.specfile.valid_part import valid_part

OUTPUT = Path("output")


@dataclass(frozen=True)
class LoadedSpec:
    """
    A spec that was read.

    Attributes:
        flaws: the mistakes of its fields, by place. With any, `spec` is only good to be checked.
    """

    path: Path
    documents: Documents = field(repr=False)
    spec: Spec = field(repr=False)
    flaws: Mapping[FieldPath, str] = field(default_factory=dict)

    @property
    def source(self) -> bytes:
        """The bytes of its file."""
        return self.documents.files[-1].source

    @property
    def ending(self) -> str:
        """The ending of a file with its text, such as `.toml`."""
        return self.path.suffix or f".{self.documents.files[-1].language}"

    @property
    def sha256(self) -> str:
        """The digest of all its files, hex."""
        digest = hashlib.sha256()
        for document in reversed(self.documents.files):
            digest.update(document.source)
        return digest.hexdigest()

    @property
    def variables(self) -> list[str]:
        """The environment variables that it names as `{{ env.NAME }}`, sorted."""
        texts = (text for _, text in strings_in(self.documents.data) if is_template(text))
        return sorted({name for text in texts for name in variables_in(text.encode())})

    def folder(self, path: FieldPath) -> Path:
        """The folder that file names in a field are relative to."""
        document, _ = self.documents.home(path)
        return document.path.parent

    def has_flaw(self, *paths: FieldPath) -> bool:
        """Whether a field has a mistake at one of some places, or inside one."""
        return not self._flawed.isdisjoint(paths)

    @cached_property
    def _flawed(self) -> frozenset[FieldPath]:
        """The places of all mistakes, and those around them."""
        return frozenset(flaw[:end] for flaw in self.flaws for end in range(len(flaw) + 1))

    def flaws_in(self, table: FieldPath) -> Sequence[FieldPath]:
        """The places of the mistakes in a job, or in another table of the spec."""
        return self._flaws_by_table.get(table, ())

    @cached_property
    def _flaws_by_table(self) -> Mapping[FieldPath, Sequence[FieldPath]]:
        found: dict[FieldPath, list[FieldPath]] = {}
        for flaw in self.flaws:
            found.setdefault(flaw[:2] if flaw[:1] == ("jobs",) else flaw[:1], []).append(flaw)
        return found

    def mistake(self, path: FieldPath, message: str) -> Mistake:
        """A mistake at a field."""
        return self.documents.mistake(path, message)


def load_spec(path: Path, *, output: Path = OUTPUT) -> LoadedSpec:
    """
    Reads and checks a spec; `-` is standard input.

    Args:
        output: the folder of batches whose results the spec reads.

    Raises:
        SpecError: its fields have mistakes; with those that only its expansion shows.
    """
    return checked_spec(path, read_documents(path), output)


def checked_spec(path: Path, documents: Documents, output: Path = OUTPUT) -> LoadedSpec:
    """
    Checks what was read of a spec; see `load_spec`.

    Raises:
        SpecError: its fields have mistakes, or a file that it includes cannot be read.
    """
    data = documents.data
    given = deepcopy(data) if documents.unread else {}
    found: list[tuple[FieldPath, str]] = [*make_jsonable(data), *take_out_of_scope(data)]
    spec, wrong = valid_part(data)
    first_ones: dict[FieldPath, str] = {}
    for place, message in (*found, *wrong):
        # One sentence for each place: a further one would mostly follow from the first.
        first_ones.setdefault(place, message)
    if documents.unread:
        # Imported late, as below.
        from orchestrator.specfile.unread_files import mistakes_of_rest

        rest = mistakes_of_rest(documents, given, first_ones)
        raise SpecError(sorted([*documents.unread, *rest], key=place_of))
    loaded = LoadedSpec(path, documents, spec, first_ones)
    if first_ones:
        # Imported late: it imports this module, and a spec without mistakes is expanded later.
        from orchestrator.specfile.expansion import expand

        # Only for its mistakes: what is left of the spec is never run.
        for _ in expand(loaded, today=datetime.now(UTC).date(), output=output):
            pass
    return loaded


def place_of(mistake: Mistake) -> tuple[str, int, int, str]:
    """The sort key of a mistake: its file and its place."""
    return mistake.file, mistake.line or 0, mistake.column or 0, mistake.field
