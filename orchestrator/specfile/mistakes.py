"""Collects the mistakes of a spec while it is expanded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from orchestrator.errors import SpecError
from orchestrator.spec_mistake import Mistake
from orchestrator.specfile.load import LoadedSpec, place_of
from orchestrator.specfile.tables.source_mistake import SourceMistake
from orchestrator.specfile.text.positions import Path as FieldPath
from orchestrator.specfile.valid_part import is_under


class Mistakes:
    """
    The mistakes of an expansion: keeps the first ones of each place and counts all.

    It begins with the flaws of the spec's fields. What follows from one of them is not a mistake.
    """

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._kept: dict[tuple[FieldPath, str], Mistake] = {}
        self._counts: Counter[FieldPath] = Counter()
        for path, message in loaded.flaws.items():
            if message:
                self._keep(path, path, message, lambda: self._loaded.mistake(path, message))  # noqa: B023

    def is_full_at(self, path: FieldPath) -> bool:
        """Whether it only counts further mistakes at a place."""
        return self._counts[path] >= SpecError.SHOWN

    def add(self, path: FieldPath, message: str) -> None:
        """Adds a mistake at a field of the spec; a repeated one counts once."""
        if not is_under(path, self._loaded.flaws):
            self._keep(path, path, message, lambda: self._loaded.mistake(path, message))

    def add_all(self, found: Iterable[tuple[FieldPath, str]]) -> None:
        """Adds several ones."""
        for path, message in found:
            self.add(path, message)

    def add_source(self, wrong: SourceMistake) -> None:
        """Adds a mistake in the data of a matrix."""

        def made() -> Mistake:
            return Mistake(
                file=wrong.file,
                line=wrong.line,
                column=wrong.column,
                message=str(wrong),
                source=wrong.line_text(),
            )

        self._keep((wrong.file,), (wrong.file, wrong.line or 0), str(wrong), made)

    def _keep(
        self, group: FieldPath, path: FieldPath, message: str, make: Callable[[], Mistake]
    ) -> None:
        if self.is_full_at(group) or len(self._kept) >= SpecError.MOST:
            self._counts[group] += 1
        elif (path, message) not in self._kept:
            self._counts[group] += 1
            self._kept[path, message] = make()

    def raise_if_any(self) -> None:
        """Raises all mistakes as one SpecError."""
        if self._kept:
            raise SpecError(sorted(self._kept.values(), key=place_of), total=self._counts.total())
