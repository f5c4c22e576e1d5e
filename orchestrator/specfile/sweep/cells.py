"""A matrix of parameters to cells, in a stable order. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from heapq import nsmallest
from itertools import chain, compress, product
from math import prod

import orjson
from pydantic import JsonValue

Number = int | float
Cell = dict[str, JsonValue]
# 2**64 over the golden ratio, made odd: a product with it spreads ranks that are close.
ODD = 0x9E3779B97F4A7C15
BITS = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Steps:
    """
    The numbers of a range, computed on access.

    Attributes:
        step: never 0.
        count: how many numbers there are; may be larger than any list.
    """

    first: int | Decimal
    step: int | Decimal
    count: int

    def __iter__(self) -> Iterator[Number]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> Number:
        value = self.first + self.step * index
        return value if isinstance(value, int) else float(value)


@dataclass(frozen=True, slots=True)
class Days:
    """Days as ISO text, computed on access."""

    first: date
    step: int
    count: int

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> str:
        return (self.first + timedelta(days=self.step * index)).isoformat()


@dataclass(frozen=True, slots=True)
class Chunks:
    """
    A long list in pieces, made on access.

    Attributes:
        edges: the start of each piece, then the end of the list.
    """

    values: Sequence[JsonValue]
    edges: Sequence[int]

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return len(self.edges) - 1

    def __iter__(self) -> Iterator[list[JsonValue]]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> list[JsonValue]:
        return list(self.values[self.edges[index] : self.edges[index + 1]])


Values = Sequence[JsonValue] | Steps | Days | Chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """
    Parameters that change together: one, those of a `zip`, or the columns of `rows`.

    Attributes:
        columns: the values of each name, all of one length.
        source: their file, as messages name it; empty for none.
        lines: the line of each value, counted from 1; empty if unknown.
    """

    names: tuple[str, ...]
    columns: tuple[Values, ...]
    source: str = ""
    lines: Sequence[int] = ()

    @property
    def count(self) -> int:
        """How many values each parameter has."""
        return count_values(self.columns[0]) if self.columns else 0

    def __iter__(self) -> Iterator[tuple[JsonValue, ...]]:
        return zip(*self.columns, strict=True)

    def __getitem__(self, index: int) -> tuple[JsonValue, ...]:
        return tuple(values[index] for values in self.columns)


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of cells, chosen only by their values and a seed."""

    count: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """
    The parameters of a job and their combinations.

    Attributes:
        axes: the factors of the cross product; the first one changes slowest.
        extra: cells to add, after `excluded` and the sample.
        excluded: values by name; a cell that has all values of one entry is removed.
        unkept: parameters whose values are too long for reports.
    """

    axes: tuple[Axis, ...] = ()
    extra: tuple[Cell, ...] = ()
    excluded: tuple[Mapping[str, JsonValue], ...] = ()
    sample: Sample | None = None
    unkept: frozenset[str] = field(default=frozenset())

    @property
    def names(self) -> list[str]:
        """The names of all parameters."""
        names = [name for axis in self.axes for name in axis.names]
        return names or [*dict.fromkeys(chain.from_iterable(self.extra))]

    @property
    def crossed(self) -> int:
        """The number of combinations, before any is removed or added; of any size."""
        return prod(axis.count for axis in self.axes) if self.axes or not self.extra else 0

    @property
    def places(self) -> int:
        """The number of places that `cells` counts; some have no cell."""
        return self.crossed + len(self.extra)

    @property
    def is_thinned(self) -> bool:
        """Whether only a check of all combinations shows which are cells."""
        return bool(self.excluded) or self.sample is not None


def range_values(first: Number, last: Number, step: Number = 1) -> Steps:
    """
    The numbers from `first` to `last`, both included, by `step`; none if the step leads away.

    Integers stay integers. Other numbers are decimals, so that steps of 0.1 do not drift.
    """
    if isinstance(first, int) and isinstance(last, int) and isinstance(step, int):
        return Steps(first, step, max((last - first) // step + 1, 0))
    begin, end, by = (Decimal(str(number)) for number in (first, last, step))
    count = int((end - begin) / by) + 1 if (end - begin) * by >= 0 else 0
    return Steps(begin, by, count)


def day_values(first: date, last: date, step: int = 1) -> Days:
    """The days from `first` to `last`, both included, by `step`; none if the last is earlier."""
    return Days(first, step, max((last - first).days // step + 1, 0))


def count_values(values: Values) -> int:
    """How many values a parameter has; may be larger than any list."""
    return values.count if isinstance(values, Steps | Days | Chunks) else len(values)


def cells(matrix: Matrix) -> Iterator[tuple[int, Cell]]:
    """
    The cells of a matrix with their places, from 0; one empty cell if there is no parameter.

    Places count the whole cross product first, then the added cells.
    """
    names = [name for axis in matrix.axes for name in axis.names]
    if matrix.crossed and matrix.sample is not None:
        found: Iterable[tuple[int, Cell]] = (
            (place, cell_at(matrix, place)) for place in _sampled(matrix, matrix.sample)
        )
    elif matrix.crossed:
        found = _kept(matrix, names)
    else:
        found = ()
    yield from found
    yield from enumerate(map(dict, matrix.extra), matrix.crossed)


def cell_at(matrix: Matrix, place: int) -> Cell:
    """The cell at a place of `cells`, counted from 0."""
    if place >= matrix.crossed:
        return dict(matrix.extra[place - matrix.crossed])
    cell: Cell = {}
    for axis, index in zip(matrix.axes, _indexes(matrix, place), strict=True):
        cell |= zip(axis.names, axis[index], strict=True)
    return cell


def origins(matrix: Matrix, place: int) -> list[str]:
    """The lines of files that a cell came from, such as `queries.csv:3`."""
    if place >= matrix.crossed:
        return []
    return [
        f"{axis.source}:{axis.lines[index]}"
        for axis, index in zip(matrix.axes, _indexes(matrix, place), strict=True)
        if axis.lines
    ]


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are equal as JSON: `1` is not `true`."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _indexes(matrix: Matrix, place: int) -> list[int]:
    """For a place of the cross product, the index on each axis."""
    indexes = []
    # The last axis changes fastest, so its index is the lowest digit.
    for axis in reversed(matrix.axes):
        place, index = divmod(place, axis.count)
        indexes.append(index)
    return indexes[::-1]


def _crossed(matrix: Matrix) -> Iterator[tuple[JsonValue, ...]]:
    """The values of all combinations; keeps only the axes after the first in memory."""
    if not matrix.axes:
        return iter([()])
    first, *others = matrix.axes
    if not others:
        return iter(first)
    return (tuple(chain(values, *rest)) for values in first for rest in product(*others))


def _kept(matrix: Matrix, names: Sequence[str]) -> Iterator[tuple[int, Cell]]:
    """All combinations that are not excluded."""
    excluded = matrix.excluded
    for place, values in enumerate(_crossed(matrix)):
        cell = dict(zip(names, values, strict=True))
        if not excluded or not any(_has_all(cell, wanted) for wanted in excluded):
            yield place, cell


def _has_all(cell: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]) -> bool:
    return all(
        is_same(cell[name], value)
        or (isinstance(value, list) and any(is_same(cell[name], one) for one in value))
        for name, value in wanted.items()
    )


def _sampled(matrix: Matrix, sample: Sample) -> list[int]:
    """
    The places of a sample, in order.

    The values and the seed decide the rank of a combination, and the lowest ranks win. Another
    order of values changes nothing, and one more value changes little.
    """
    ranks: Iterable[int] = (
        (sum(parts) * ODD & BITS) ^ (sum(parts) & BITS) >> 29
        for parts in product(*(_ranks(axis, sample.seed) for axis in matrix.axes))
    )
    ranked: Iterable[tuple[int, int]] = zip(ranks, range(matrix.crossed), strict=True)
    # Excluded first: else a sample would be smaller than what was asked for.
    if matrix.excluded:
        kept = {place for place, _ in _kept(matrix, matrix.names)}
        ranked = compress(ranked, (place in kept for place in range(matrix.crossed)))
    return sorted(place for _, place in nsmallest(sample.count, ranked))


def _ranks(axis: Axis, seed: int) -> list[int]:
    key = seed.to_bytes(8, "big", signed=True)
    return [
        # Not `hash`, which differs from process to process.
        int.from_bytes(
            hashlib.blake2b(orjson.dumps([axis.names, values]), digest_size=8, key=key).digest()
        )
        for values in axis
    ]
