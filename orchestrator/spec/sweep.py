"""
A matrix of parameters to cells, in a stable order. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod

from pydantic import JsonValue

Number = int | float
Cell = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Steps:
    """
    The numbers of a range, made when they are asked for.

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


Matrix = Mapping[str, Sequence[JsonValue] | Steps]


def range_values(first: Number, last: Number, step: Number = 1) -> Steps:
    """
    The numbers from `first` to `last`, both included, by `step`; none when it leads away.

    Integers stay integers. Others are counted in decimals, so that 0.1 steps do not drift.
    """
    if isinstance(first, int) and isinstance(last, int) and isinstance(step, int):
        return Steps(first, step, max((last - first) // step + 1, 0))
    begin, end, by = (Decimal(str(number)) for number in (first, last, step))
    count = int((end - begin) / by) + 1 if (end - begin) * by >= 0 else 0
    return Steps(begin, by, count)


def count_cells(matrix: Matrix) -> int:
    """
    How many cells a matrix has; 1 without parameters.
    """
    return prod(map(_count, matrix.values()))


def cells(matrix: Matrix) -> Iterator[Cell]:
    """
    The cross product of a matrix: the first parameter changes slowest. One empty cell without any.
    """
    names = tuple(matrix)
    for values in product(*matrix.values()):
        yield dict(zip(names, values, strict=True))


def cell_at(matrix: Matrix, index: int) -> Cell:
    """
    The cell at a place of `cells`, counted from 0.
    """
    cell: Cell = {}
    for name, values in reversed(list(matrix.items())):
        index, at = divmod(index, _count(values))
        cell[name] = values[at]
    return {name: cell[name] for name in matrix}


def _count(values: Sequence[JsonValue] | Steps) -> int:
    return values.count if isinstance(values, Steps) else len(values)
