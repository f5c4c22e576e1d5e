"""The values of a table's columns for some items, a list for each column."""

from __future__ import annotations

from typing import Any

import orjson

from orchestrator.results.distinct_keys import values_of
from orchestrator.results.fast_reader import Rows
from orchestrator.results.shape import FIELD, ITEM, NULLS, Column, Layout


def cells_of(rows: Rows, column: Column, layout: Layout) -> list[Any]:
    """The values of a column; None for a missing value."""
    if column.origin == ITEM:
        return [
            line.decode().strip() if place in rows.odd else None
            for place, line in enumerate(rows.lines)
        ]
    if column.origin == NULLS:
        names = [c.of for c in layout.columns if c.origin == FIELD and c.empty == "either"]
        return [_nulls(item, names) for item in rows.items]
    return values_of(rows, column)


def _nulls(item: dict[str, Any], names: list[str]) -> str | None:
    """The fields that an item has and that are null, as JSON."""
    found = [name for name in names if name in item and item[name] is None]
    return orjson.dumps(found).decode() if found else None
