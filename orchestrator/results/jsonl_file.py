"""A table as JSON Lines: our columns, then the unchanged text of the item."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from orchestrator.results.column_kinds import Kind, json_text
from orchestrator.results.distinct_keys import values_of
from orchestrator.results.fast_reader import Rows
from orchestrator.results.item_source import BUFFER_BYTES, Source
from orchestrator.results.shape import ITEM, Column, Layout


def form(_column: Column) -> Kind | None:
    """The part of a column's kind that its text depends on: none."""
    return None


class JsonlFile:
    """
    A file of JSON Lines that is being written.

    Attributes:
        rows: how many were written.
    """

    def __init__(self, path: Path, *, layout: Layout) -> None:
        self._file = path.open("ab", buffering=BUFFER_BYTES)
        ours = layout.ours()
        self._ours = [column for column in ours if column.origin != ITEM]
        self._item = next((column.name for column in ours if column.origin == ITEM), "_item")
        # Most items follow one of the same job, so the last head is kept.
        self._last: tuple[Source | None, bytes] = (None, b"")
        self.rows = 0

    def write(self, rows: Rows) -> None:
        """Appends items."""
        start = 0
        for source, count in _runs(rows.sources):
            head = self._head_of(source)
            lines = rows.lines[start : start + count]
            if all(rows.items[start : start + count]):
                # Line feeds occur only between lines, so an object follows each.
                text = b"".join(lines)[1:].replace(b"\n{", b"\n" + head)
                self._file.write(head + text)
            else:
                items = rows.items[start : start + count]
                self._file.writelines(
                    head + line[1:] if item else self._unusual(head, line)
                    for item, line in zip(items, lines, strict=True)
                )
            start += count
        self.rows += len(rows)

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _head_of(self, source: Source) -> bytes:
        """The bytes before the fields of each item, equal for all items of a job."""
        if source is not self._last[0]:
            self._last = (source, self._head(source))
        return self._last[1]

    def _head(self, source: Source) -> bytes:
        one = Rows(sources=[source], items=[{}])
        ours = [f"{json_text(c.name)}:{json_text(values_of(one, c)[0])}" for c in self._ours]
        return ("{" + ",".join(ours) + ",").encode()

    def _unusual(self, head: bytes, line: bytes) -> bytes:
        """An item without fields, or one that is not an object."""
        if line.startswith(b"{"):
            # A field counts even if its name cannot be read.
            rest = line[1:].lstrip()
            return (head[:-1] if rest.startswith(b"}") else head) + line[1:]
        return head + json_text(self._item).encode() + b":" + line.rstrip() + b"}\n"


def _runs(sources: Sequence[Source]) -> list[tuple[Source, int]]:
    """The sources in order, each with its number of consecutive items."""
    if sources[0] is sources[-1]:
        return [(sources[0], len(sources))]
    return [(source, sum(1 for _ in group)) for source, group in groupby(sources)]
