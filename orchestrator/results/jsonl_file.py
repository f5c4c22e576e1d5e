"""
A table as JSON Lines: the text of an item stays as it is, and our columns are put before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.results.column_kinds import Kind, json_text
from orchestrator.results.fast import Rows
from orchestrator.results.keys import values_of
from orchestrator.results.shape import ITEM, Column, Layout
from orchestrator.results.source import BUFFER_BYTES, Source


def form(_column: Column) -> Kind | None:
    """
    What of a column's kind its text depends on: nothing.
    """
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
        self._heads: tuple[Source | None, bytes] = (None, b"")
        self.rows = 0

    def write(self, rows: Rows) -> None:
        """
        Appends items.
        """
        texts = [
            head + line[1:]
            for head, line in zip(self._heads_of(rows.sources), rows.lines, strict=True)
        ]
        for place, item in enumerate(rows.items):
            if not item:
                texts[place] = self._unusual(rows, place)
        self._file.writelines(texts)
        self.rows += len(texts)

    def close(self) -> None:
        """
        Ends the file.
        """
        self._file.close()

    def _heads_of(self, sources: Sequence[Source]) -> list[bytes]:
        """
        What stands before the fields of each item: the same bytes for all items of a job.
        """
        heads = []
        known, head = self._heads
        for source in sources:
            if source is not known:
                known, head = source, self._head(source)
            heads.append(head)
        self._heads = (known, head)
        return heads

    def _head(self, source: Source) -> bytes:
        one = Rows(sources=[source], items=[{}])
        ours = [f"{json_text(c.name)}:{json_text(values_of(one, c)[0])}" for c in self._ours]
        return ("{" + ",".join(ours) + ",").encode()

    def _unusual(self, rows: Rows, place: int) -> bytes:
        """
        An item without fields, or one that is not an object.
        """
        head, line = self._head(rows.sources[place]), rows.lines[place]
        if line.startswith(b"{"):
            # Fields whose names cannot be read are fields all the same.
            rest = line[1:].lstrip()
            return (head[:-1] if rest.startswith(b"}") else head) + line[1:]
        return head + json_text(self._item).encode() + b":" + line.rstrip() + b"}\n"
