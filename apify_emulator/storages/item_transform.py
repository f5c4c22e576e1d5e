"""
The parameters of the items endpoint that change items: which fields, renamed, unwound, flattened.

Pure: items in, items out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]

# The description of the API defines `simplified` by these.
_SIMPLIFIED = ("url", "pageFunctionResult", "errorInfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTransform:
    """
    The parameters that change items.

    Attributes:
        output_fields: new names for `fields`, by position.
        is_simplified: whether items are the results of page functions, beside the URL.
        skip_failed_pages: whether items with an `errorInfo` are left out.
    """

    fields: tuple[str, ...] = ()
    output_fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    unwind: tuple[str, ...] = ()
    flatten: tuple[str, ...] = ()
    skip_empty: bool = False
    skip_hidden: bool = False
    is_simplified: bool = False
    skip_failed_pages: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether items stay unchanged."""
        return self == ItemTransform()

    def apply(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yields the changed items; there can be more or fewer than before."""
        for item in items:
            if self.skip_failed_pages and "errorInfo" in item:
                continue
            for row in self._rows(item):
                changed = self._changed(row)
                if changed or not self.skip_empty:
                    yield changed

    def _rows(self, item: Item) -> Iterator[Item]:
        if not self.is_simplified:
            yield from _unwound(item, self.unwind)
            return
        picked = {name: item[name] for name in _SIMPLIFIED if name in item}
        for row in _unwound(picked, _SIMPLIFIED[1:2]):
            yield from _unwound(row, self.unwind)

    def _changed(self, item: Item) -> Item:
        row = _flattened(item, self.flatten) if self.flatten else item
        if self.skip_hidden:
            row = {name: value for name, value in row.items() if not name.startswith("#")}
        if self.fields:
            row = self._picked(row)
        if self.omit:
            row = {
                name: _without(value, name, self.omit)
                for name, value in row.items()
                if name not in self.omit
            }
        return row

    def _picked(self, row: Item) -> Item:
        picked: Item = {}
        for at, name in enumerate(self.fields):
            found, value = _lookup(row, name)
            if found:
                is_renamed = at < len(self.output_fields)
                picked[self.output_fields[at] if is_renamed else name] = value
        return picked


def _lookup(row: Item, name: str) -> tuple[bool, Any]:
    if name in row:
        return True, row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return False, None
        value = value[part]
    return True, value


def _without(value: Any, name: str, omit: tuple[str, ...]) -> Any:
    inner = tuple(path[len(name) + 1 :] for path in omit if path.startswith(f"{name}."))
    if not inner or not isinstance(value, dict):
        return value
    return {
        part: _without(deeper, part, inner) for part, deeper in value.items() if part not in inner
    }


def _unwound(item: Item, names: tuple[str, ...]) -> Iterator[Item]:
    if not names:
        yield item
        return
    name, rest = names[0], names[1:]
    value = item.get(name)
    others = {key: other for key, other in item.items() if key != name}
    if isinstance(value, list):
        for part in value:
            merged = {**others, **part} if isinstance(part, dict) else {**others, name: part}
            yield from _unwound(merged, rest)
    elif isinstance(value, dict):
        yield from _unwound({**others, **value}, rest)
    else:
        yield from _unwound(item, rest)


def _flattened(item: Item, names: tuple[str, ...]) -> Item:
    flat: Item = {}
    for name, value in item.items():
        if name in names:
            flat.update(leaves(name, value, "."))
        else:
            flat[name] = value
    return flat


def leaves(name: str, value: Any, separator: str) -> Iterator[tuple[str, Any]]:
    """Yields the innermost values of a nested value, with the path to each."""
    if isinstance(value, dict) and value:
        for part, inner in value.items():
            yield from leaves(f"{name}{separator}{part}", inner, separator)
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from leaves(f"{name}{separator}{at}", inner, separator)
    else:
        yield name, value
