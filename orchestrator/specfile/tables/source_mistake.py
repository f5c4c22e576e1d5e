"""The mistake that data of a matrix can have."""

from __future__ import annotations

from collections.abc import Callable


class SourceMistake(Exception):
    """
    Data that cannot be used.

    Attributes:
        file: its file, as messages name it.
        line_text: returns the text of its line; empty for data that has no lines.
    """

    def __init__(
        self, file: str, message: str, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.column = column
        self.line_text: Callable[[], str] = str
