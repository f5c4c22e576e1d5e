"""Learns the columns of a table from items, and converts values to the types of the spec."""

from __future__ import annotations

from itertools import chain

from orchestrator.results.column_kinds import converted
from orchestrator.results.fast_reader import Rows
from orchestrator.results.partitions import is_cut
from orchestrator.results.shape import Shape


def look_at(rows: Rows, shape: Shape) -> Rows:
    """Learns the fields of items; returns the items that the table can hold."""
    as_text = shape.as_text
    if not as_text and shape.types:
        rows = _convert(rows, shape)
    names = _names(rows, shape)
    refused = shape.take_names(names)
    if as_text:
        names = [name for name in shape.partition_by if name in shape.names]
    # Items with fields beyond the limit keep their whole text, so that nothing is lost.
    elif refused:
        rows.odd.update(n for n, item in enumerate(rows.items) if not refused.isdisjoint(item))
    for name in names:
        if name not in refused:
            values = rows.columns[name] = rows.values(name)
            shape.learn(name, values, rows.items)
            if name in shape.partition_by and not as_text:
                rows.odd.update(n for n, value in enumerate(values) if is_cut(value))
    if not as_text:
        shape.learn_rows(names, len(rows))
    if not shape.has_odd:
        shape.has_odd = any(
            not as_text or not rows.lines[place].startswith(b"{") for place in rows.odd
        )
    return rows


def _names(rows: Rows, shape: Shape) -> list[str]:
    """The names of all fields in order; if only the text of items matters, the new ones."""
    items = rows.items
    if shape.as_text:
        is_known = shape.names.issuperset
        items = [item for item in items if not is_known(item)]
    return list(dict.fromkeys(chain.from_iterable(items)))


def _convert(rows: Rows, shape: Shape) -> Rows:
    """Converts values to the types of the spec; rejects items where that fails."""
    reasons: dict[int, str] = {}
    made = {}
    for name, kind in shape.types.items():
        values = rows.values(name)
        # An item is the same in each format, whether its values are converted or not.
        if name in shape.unique:
            rows.read[name] = values
        made[name], wrong = converted(values, kind)
        reasons.update({place: f"{name}: {reason}" for place, reason in wrong.items()})
    for name, values in made.items():
        for item, value in zip(rows.items, values, strict=True):
            if value is not None:
                item[name] = value
    return rows.reject(reasons) if reasons else rows
