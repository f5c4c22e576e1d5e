"""One mistake in a spec: where it is, what was found, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import east_asian_width

EXCERPT_CHARS = 100
"""How much of a line with a mistake is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """
    One mistake in a spec.

    Attributes:
        file: the file as the user named it.
        line: counted from 1; None where the file as a whole is meant.
        column: counted from 1; None where unknown.
        field: the path of the field, such as `jobs[2].matrix.pages`; empty for the whole file.
        message: what was found, what was expected and, for a misspelt name, the nearest one.
        source: the text of the line; empty where it is not known, or may have secrets.
    """

    file: str
    line: int | None = None
    column: int | None = None
    field: str = ""
    message: str
    source: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.field, self.message) if part)

    def excerpt(self) -> list[str]:
        """The line of the file, with a mark below the column."""
        text, column = self.source.rstrip(), self.column or 1
        if not text:
            return []
        first = max(column - EXCERPT_CHARS * 2 // 3, 0)
        shown = f"{'…' if first else ''}{text[first : first + EXCERPT_CHARS]}".replace("\t", " ")
        more = "…" if len(text) > first + EXCERPT_CHARS else ""
        lines = [f"{self.line:>6} | {shown}{more}"]
        if self.column is not None:
            before = shown[: column - 1 - first + (1 if first else 0)]
            # Some letters take two places on a terminal.
            wide = sum(east_asian_width(letter) in "WF" for letter in before)
            lines.append(f"{'':>6} | {'':{len(before) + wide}}^")
        return lines
